namespace Miroir.Explorer

open System
open System.IO
open System.Text.Json
open Miroir.Core

/// A fault seeded into the protocol: which configurations are to find it, or why none can.
type Fault = {
    Name: string
    About: string
    /// The configurations that are tried, in order.
    In: string list
    /// Why nothing finds it; "" where something must.
    Survives: string
}

[<RequireQualifiedAccess>]
module KillTable =
    let private fault name about within = {
        Name = name
        About = about
        In = within
        Survives = ""
    }

    /// Several at once are joined by a plus sign: each alone is made up for by the other's rule.
    let faults: Fault list = [
        fault "delta-pass-left-out" "switches without the delta pass" [ "disjoint" ]
        fault
            "joint-barrier-left-out+raising-left-out"
            "no Joint barrier, and nodes that learn epochs by barriers alone"
            [ "disjoint"; "overlap" ]
        {
            fault "retiring-barrier-left-out+raising-left-out" "no barrier when the source retires" [ "relayout" ] with
                Survives =
                    "the next writer raises the same barriers, and the fences, before it writes; and what is older needs the source's quorum too, which a deleted source refuses"
        }
        fault "writer-barrier-left-out+raising-left-out" "a new writer begins at once" [ "change" ]
        fault "fence-left-out" "routes that ended are not fenced off by the next writer" [ "relayout" ]
        fault "barrier-one-too-few+raising-left-out" "one confirmation too few" [ "disjoint"; "change" ]
        fault "raising-left-out" "nodes learn epochs by barriers alone" [ "handover" ]
        fault "epoch-check-left-out" "nodes admit older epochs" [ "disjoint" ]
        fault "term-not-raised" "a new writer in the old term" [ "handover" ]
        fault "term-not-raised-at-retirement" "the targets go on in the source's term" [ "relayout" ]
        fault "read-not-confirmed" "reads answer what is not confirmed" [ "reads" ]
        fault "writer-does-not-put-back" "the writer answers what is not confirmed" [ "unknown" ]
        fault "any-router-puts-back" "readers put back themselves" [ "handover-read" ]
        fault "base-rule-left-out" "updates forget what was issued" [ "unknown" ]
        fault "answers-carried-across-epochs" "answers count under later epochs" [ "loss" ]
        fault "epoch-of-answers-ignored" "late answers of older epochs count" [ "loss-late" ]
        {
            fault "read-does-not-start-again" "stale reads go on" [ "reads" ] with
                Survives =
                    "a refusal for the epoch then counts as no answer, and without a write quorum of one epoch the read goes to the writer: slower, never wrong"
        }
        {
            fault "superseded-counted-across-terms" "a later term's version counts as holding" [ "handover" ] with
                Survives =
                    "alone it has no occasion here: a put of a term that ended is refused for its epoch before versions are compared; the next line gives it one"
        }
        fault "superseded-counted-across-terms+put-goes-on-in-another-term" "the same, and puts outlive their term" [
            "handover"
        ]
        fault "put-goes-on-in-another-term" "a put outlives its term" [ "handover"; "change" ]
        fault "inspection-left-out" "a put is run again without a look" [ "inspect" ]
        fault "older-overwrites" "a store takes older versions" [ "disjoint"; "deletes" ]
        fault "tombstones-not-copied" "copies leave tombstones out" [ "deletes" ]
        fault "stale-attempt-accepted" "answers to earlier attempts count" [ "attempts" ]
        fault "incarnations-not-checked" "lost targets pass for proven ones" [ "loss" ]
        fault "abort-after-retirement" "an abort after the end" [ "abort" ]
        fault "joint-acknowledged-by-owners" "the targets' quorum is not asked for" [ "disjoint" ]
        fault "drain-timeout-ignored+raising-left-out" "goes on without the barrier" [ "abort" ]
        fault "cleanup-of-any-incarnation+drops-carry-no-epoch" "a late delete hits what a later migration made" [
            "there-and-back"
        ]
    ]

    let activate (names: string[]) =
        WorldFaults.activate names
#if MUTANTS
        Mutants.activate names
#endif

    /// How the search for one fault ended.
    type private Verdict = {
        Fault: Fault
        Killer: Outcome option
        States: int64
        Seconds: float
    }

    let private hunt (bounds: SearchBounds) (fault: Fault) : Verdict =
        activate (fault.Name.Split '+')

        let start = {
            Fault = fault
            Killer = None
            States = 0L
            Seconds = 0.0
        }

        (start, fault.In)
        ||> List.fold (fun verdict name ->
            if verdict.Killer.IsSome then
                verdict
            else
                let setting = Configurations.all |> List.find (fun s -> s.Name = name)
                let outcome = Search.run setting bounds

                {
                    verdict with
                        Killer = (if outcome.Broken <> "" then Some outcome else None)
                        States = verdict.States + outcome.States
                        Seconds = verdict.Seconds + outcome.Seconds
                })

    let private property (o: Outcome) =
        o.Broken.Substring(0, o.Broken.IndexOf ':')

    /// Steps are numbered, in three columns.
    let private depth (o: Outcome) =
        o.Story
        |> List.filter (fun line -> line.Length > 3 && Char.IsDigit line[2])
        |> List.length

    let private print (verdict: Verdict) (withStory: bool) =
        let row (killedBy: string) (within: string) (depth: string) =
            printfn
                "%-48s %-15s %-14s %6s %10s %8.1f"
                verdict.Fault.Name
                killedBy
                within
                depth
                (verdict.States.ToString "N0")
                verdict.Seconds

        match verdict.Killer with
        | Some o ->
            row (property o) o.Setting.Name (string (depth o))

            if withStory then
                for line in o.Story do
                    printfn "  %s" line
        | None ->
            row "SURVIVES" "" ""

            if verdict.Fault.Survives <> "" then
                printfn "  because %s" verdict.Fault.Survives

    let private write (file: string) (verdicts: Verdict list) =
        let rows = [
            for v in verdicts do
                {|
                    mutant = v.Fault.Name
                    about = v.Fault.About
                    layer = "explorer"
                    killedBy =
                        (match v.Killer with
                         | Some o -> $"{property o}: {o.Setting.Name}, {depth o} steps"
                         | None -> "")
                    states = v.States
                    seconds = v.Seconds
                    survives = v.Fault.Survives
                |}
        ]

        File.WriteAllText(file, JsonSerializer.Serialize(rows, JsonSerializerOptions(WriteIndented = true)))

    /// How each fault ended. 0 where each was found, or is known to survive.
    let run (bounds: SearchBounds) (only: string option) (json: string option) : int =
        Coordination.judge false

        printfn "%-48s %-15s %-14s %6s %10s %8s" "fault" "killed by" "in" "depth" "states" "seconds"

        let verdicts = [
            for fault in faults do
                if only.IsNone || fault.Name.Contains only.Value then
                    let verdict = hunt bounds fault
                    print verdict only.IsSome
                    verdict
        ]

        activate [||]

        let survivors =
            verdicts |> List.filter (fun v -> v.Killer.IsNone && v.Fault.Survives = "")

        for v in survivors do
            printfn "%s survives, and no reason is known" v.Fault.Name

        let killed = verdicts |> List.filter _.Killer.IsSome |> List.length
        printfn "%d faults: %d killed, %d survive" verdicts.Length killed (verdicts.Length - killed)
        json |> Option.iter (fun file -> write file verdicts)
        if survivors.IsEmpty then 0 else 1
