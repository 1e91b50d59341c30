namespace Miroir.Explorer

/// Faults seeded into what this world stands in for: nodes, and the hosts around the machines. Those of the machines
/// themselves are in Core's Mutants.
[<RequireQualifiedAccess>]
module WorldFaults =

    let mutable private active: Set<string> = Set.empty
    let mutable private epochCheck = false
    let mutable private raising = false
    let mutable private older = false
    let mutable private tombstones = false
    let mutable private drops = false
    let mutable private anyRouter = false
    let mutable private putBack = false
    let mutable private sameTerm = false

    let activate (names: string[]) =
        active <- Set.ofArray names
        epochCheck <- active.Contains "epoch-check-left-out"
        raising <- active.Contains "raising-left-out"
        older <- active.Contains "older-overwrites"
        tombstones <- active.Contains "tombstones-not-copied"
        drops <- active.Contains "drops-carry-no-epoch"
        anyRouter <- active.Contains "any-router-puts-back"
        putBack <- active.Contains "writer-does-not-put-back"
        sameTerm <- active.Contains "term-not-raised"

    /// Nodes admit what is older than their barriers.
    let epochCheckLeftOut () = epochCheck
    /// Nodes raise their barriers only when they are told to.
    let raisingLeftOut () = raising
    /// A put replaces what is there whatever its version.
    let olderOverwrites () = older
    /// Copies and delta passes leave tombstones out.
    let tombstonesNotCopied () = tombstones
    /// A store is dropped under whichever epoch.
    let dropsCarryNoEpoch () = drops
    /// A read that asking does not confirm is put back by the router that asked.
    let anyRouterPutsBack () = anyRouter
    /// The writer answers a read with what it found, whether a write quorum holds it or not.
    let writerDoesNotPutBack () = putBack
    /// Who names a writer while nothing moves leaves the term as it was.
    let termNotRaised () = sameTerm
