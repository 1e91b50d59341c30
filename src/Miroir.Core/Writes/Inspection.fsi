namespace Miroir.Core

/// What to do with a put whose writer's term ended before it was acknowledged.
[<RequireQualifiedAccess>]
type InspectionDecision =
    /// It is there: put it back to a write quorum, and acknowledge.
    | Complete
    /// It had no effect, and never will: run the operation again, with a new version of the new term.
    | RunAgain
    /// Something newer hides what became of it.
    | GiveUp of Why: string

/// Inspection after a retirement, or any other end of a term, by the router incarnation that had issued the put
/// and writes for the key now, too. The operation has kept its place in its key's queue all the while, and holds
/// the key's queue of the new term.
[<RequireQualifiedAccess>]
module Inspection =

    /// Whether the writer of the route that serves the key now may inspect at all: only the very incarnation that
    /// issued the put knows that nothing else of its term was issued behind it.
    val mayInspect: router: string -> incarnation: int64 -> serving: Route -> bool

    /// Whether the incarnation that issued the put, and keeps its place in the key's queue of the ended term, may ask
    /// the key's writer of now, another router, to inspect in its stead: it vouches for nothing being behind it.
    val mayHandOver: router: string -> incarnation: int64 -> serving: Route -> bool

    /// Whether the writer of this route, who was asked to, may: its term has begun after that of the put ended.
    val mayTakeOver: issued: DocumentVersion -> serving: Route -> bool

    /// `issued`: the version given in the old term. `checkedBase`: where the write is conditional, the version that
    /// its condition was checked against (zero: absent). `found`: the base by the rules of the new term.
    val decide:
        issued: DocumentVersion -> checkedBase: DocumentVersion voption -> found: UpdateBase -> InspectionDecision
