namespace Miroir.Core

[<RequireQualifiedAccess>]
type InspectionDecision =
    | Complete
    | RunAgain
    | GiveUp of Why: string

[<RequireQualifiedAccess>]
module Inspection =

    let mayInspect (router: string) (incarnation: int64) (serving: Route) =
        serving.Stage <> Retired && serving.Writer.Is(router, incarnation)

    let mayHandOver (router: string) (incarnation: int64) (serving: Route) =
        serving.Stage <> Retired
        && not serving.Writer.IsNone
        && not (serving.Writer.Is(router, incarnation))

    let mayTakeOver (issued: DocumentVersion) (serving: Route) =
        serving.Stage <> Retired && serving.Writer.Term > issued.Term

    // Why running again is safe. The new term's writer has raised the barriers, so that the old put can complete
    // nowhere any more; where it was left on fewer than a write quorum, it may linger. The read under the new route
    // had W answers of each set, and the old version on none of them: so no confirmed read has ever answered with it,
    // since that takes W holders of exactly that version in each set, one of which would have answered now; and
    // nothing else ever rested on it and was acknowledged, since that would be a greater version and be found. The
    // operation has had no effect that anybody saw. Its new version is of a greater term than the one that lingers:
    // a replica that has both keeps the new one, and a replica that has only the old one loses to it in every read,
    // copy and repair. So the effect happens once. If the second put ends Unknown, either version may turn up, of
    // one operation, which its client was told may be there.
    let decide (issued: DocumentVersion) (checkedBase: DocumentVersion voption) (found: UpdateBase) =
        if Mutants.inspectionLeftOut () then
            InspectionDecision.RunAgain
        elif Versions.areSame found.Version issued then
            InspectionDecision.Complete
        elif Versions.isLater found.Version issued then
            InspectionDecision.GiveUp $"{issued} was given in a term that ended, and {found.Version} is there now"
        else
            match checkedBase with
            | ValueSome version when not (Versions.areSame version found.Version) ->
                InspectionDecision.GiveUp
                    $"{issued} was given in a term that ended; its condition was checked against {version}, and {found.Version} is there now"
            | _ -> InspectionDecision.RunAgain
