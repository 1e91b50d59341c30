namespace Miroir.Core

/// Faults seeded into the protocol, to show that the proofs would find them (docs/mutants.md). They exist only in the test
/// build: elsewhere each is a constant false that the compilers remove.
[<RequireQualifiedAccess>]
module Mutants =

#if MUTANTS
    let mutable private active: Set<string> = Set.empty
    let mutable private isAnyActive = false

    /// Turns faults on by name, for this process.
    let activate (names: string[]) =
        active <- Set.ofArray names
        isAnyActive <- names.Length > 0

    let isOn (name: string) = isAnyActive && active.Contains name
#else
    let inline isOn (_: string) = false
#endif

    // The cutover.

    /// Shards switch without having been compared with their sources.
    let inline deltaPassLeftOut () = isOn "delta-pass-left-out"

    /// The delta pass begins without the Joint barrier.
    let inline jointBarrierLeftOut () = isOn "joint-barrier-left-out"

    /// Sources are deleted without the ended route's barrier on the targets.
    let inline retiringBarrierLeftOut () = isOn "retiring-barrier-left-out"

    /// Barriers are taken for confirmed with one node too few.
    let inline barrierOneTooFew () = isOn "barrier-one-too-few"

    /// A shard that takes another over goes on in that one's term.
    let inline termNotRaisedAtRetirement () = isOn "term-not-raised-at-retirement"

    /// Effects are known by what they are about: an answer to an earlier attempt is taken for a later one's.
    let inline staleAttemptAccepted () = isOn "stale-attempt-accepted"

    /// A store is dropped in whichever incarnation, whoever made it.
    let inline cleanupOfAnyIncarnation () = isOn "cleanup-of-any-incarnation"

    /// Nobody asks for the targets' incarnations before switching and retiring.
    let inline incarnationsNotChecked () = isOn "incarnations-not-checked"

    /// A migration is undone although a source has retired.
    let inline abortAfterRetirement () = isOn "abort-after-retirement"

    /// The shard goes on when its barrier is not confirmed in time.
    let inline drainTimeoutIgnored () = isOn "drain-timeout-ignored"

    /// A migration may skip the delta pass with anti-entropy off, and retires its sources uncompared.
    let inline skipDeltaGateLeftOut () = isOn "skip-delta-gate-left-out"

    /// The delta pass is made under Copying, before the Joint barrier is raised.
    let inline finalReadBeforeTheBarrier () = isOn "final-read-before-the-barrier"

    /// Switched is published as soon as Joint is: no barrier, no pass.
    let inline activatedBeforeTheDrain () = isOn "activated-before-the-drain"

    /// A route is taken for published as soon as its compare-and-set is sent.
    let inline publishNotAwaited () = isOn "publish-not-awaited"

    // Writes, reads, and who may write.

    /// A new writer begins without its barriers.
    let inline writerBarrierLeftOut () = isOn "writer-barrier-left-out"

    /// The writer of a new shard raises its own barrier alone, not those of the routes that ended in it.
    let inline fenceLeftOut () = isOn "fence-left-out"

    /// A new writer goes on in its predecessor's term.
    let inline termNotRaised () = isOn "term-not-raised"

    /// A read answers the highest version of a write quorum of replies, whoever else holds it.
    let inline readNotConfirmed () = isOn "read-not-confirmed"

    /// An update rests on what the read found alone, not on what was issued before it.
    let inline baseRuleLeftOut () = isOn "base-rule-left-out"

    /// What answered under an older epoch still counts under a newer one.
    let inline answersCarriedAcrossEpochs () = isOn "answers-carried-across-epochs"

    /// A late answer to a put under an older epoch counts.
    let inline epochOfAnswersIgnored () = isOn "epoch-of-answers-ignored"

    /// A read takes a refusal for its epoch for a node that failed.
    let inline readDoesNotStartAgain () = isOn "read-does-not-start-again"

    /// A greater version of a later term is taken for holding the put.
    let inline supersededCountedAcrossTerms () = isOn "superseded-counted-across-terms"

    /// An open put goes out again under a route of another term.
    let inline putGoesOnInAnotherTerm () = isOn "put-goes-on-in-another-term"

    /// A put whose term ended is run again without a look at what is there.
    let inline inspectionLeftOut () = isOn "inspection-left-out"

    /// In Joint and Switched a write quorum of the owners is enough.
    let inline jointAcknowledgedByOwners () = isOn "joint-acknowledged-by-owners"

    /// The writer answers a read with what it found, whether a write quorum holds it or not.
    let inline writerDoesNotPutBack () = isOn "writer-does-not-put-back"

    // The change feed.

    /// A writer calls everything settled that it has given a version to, whatever became of it.
    let inline boundIgnoresUndecided () = isOn "bound-ignores-undecided"

    /// A version of an ended term is made certain where readers of the feed have passed it.
    let inline noFreshPosition () = isOn "no-fresh-position"

    /// A put that a store held already, from a copy, is not in its change log.
    let inline logOnlyAtApplied () = isOn "log-only-at-applied"

    /// A reader of the feed leaves the routes that ended in a shard's own unfenced.
    let inline feedFencesLeftOut () = isOn "feed-fences-left-out"

    // The coordinator.

    /// A commit of the metadata whose outcome is not known is taken for one that failed.
    let inline unknownCommitTakenForFailure () = isOn "unknown-commit-taken-for-failure"

    /// Writes of the metadata do not compare the leader.
    let inline leaderTermNotChecked () = isOn "leader-term-not-checked"

    /// Writes of the metadata compare nothing of what they write over.
    let inline keyRevisionsNotChecked () = isOn "key-revisions-not-checked"

    /// Effects are performed before their cause is in the journal.
    let inline journalAfterPerforming () = isOn "journal-after-performing"

    // Copies and delta passes.

    /// Copies leave tombstones out.
    let inline tombstonesLeftOutOfCopy () = isOn "tombstones-left-out-of-copy"

    /// Delta passes leave tombstones out.
    let inline tombstonesLeftOutOfDelta () = isOn "tombstones-left-out-of-delta"

    /// A copy says that it is behind documents that are not put yet.
    let inline positionBeforeData () = isOn "position-before-data"

    // Stores.

    /// Puts are admitted below the barrier.
    let inline epochCheckLeftOut () = isOn "epoch-check-left-out"

    /// A put's epoch is compared before it waits for its transaction, and not inside.
    let inline epochCheckBeforeTheTransaction () =
        isOn "epoch-check-before-the-transaction"

    /// Reads and scans are admitted below the barrier.
    let inline readsBelowTheBarrier () = isOn "reads-below-the-barrier"

    /// Stores are dropped under whichever epoch.
    let inline dropsCarryNoEpoch () = isOn "drops-carry-no-epoch"

    /// Requests under a newer epoch do not raise the barrier: only raisings do.
    let inline raisingLeftOut () = isOn "raising-left-out"

    /// Barriers are forgotten at a restart.
    let inline barrierNotDurable () = isOn "barrier-not-durable"

    /// A dropped store takes its barrier along.
    let inline barrierForgottenAtDrop () = isOn "barrier-forgotten-at-drop"

    /// A put replaces what is there whatever its version.
    let inline olderOverwrites () = isOn "older-overwrites"

    /// A store that is made again is the incarnation that it was.
    let inline incarnationKept () = isOn "incarnation-kept"

    /// A node without the store answers that the document is absent.
    let inline notServingAnswersAbsent () = isOn "not-serving-answers-absent"

    /// Making a store that is there empties it.
    let inline makeWipes () = isOn "make-wipes"

    /// Commits are answered before they are on the disk.
    let inline syncLeftOut () = isOn "sync-left-out"

    /// Puts are answered before their transaction commits.
    let inline answeredBeforeCommit () = isOn "answered-before-commit"

    // Anti-entropy.

    /// Digests are combined by XOR, under which what is there twice cancels.
    let inline digestsCombinedByXor () = isOn "digests-combined-by-xor"

    /// What differs at first sight is called a difference.
    let inline settleLeftOut () = isOn "settle-left-out"

    /// Replicas may be made anew while they are merged.
    let inline comparedAcrossIncarnations () = isOn "compared-across-incarnations"

    /// A repair takes no turn among the document's writes, as if it were made past their writer.
    let inline repairAroundTheWriter () = isOn "repair-around-the-writer"

    /// A repair goes by the lowest version that was answered.
    let inline repairByTheLowest () = isOn "repair-by-the-lowest"

    /// A repair goes by whichever replicas answered, however few.
    let inline repairWithoutQuorum () = isOn "repair-without-quorum"

    /// A heal replaces what is there whatever its version.
    let inline healOverwritesNewer () = isOn "heal-overwrites-newer"

    /// Tombstones are purged after any pass, whatever it found.
    let inline purgedWithoutProof () = isOn "purged-without-proof"

    /// Tombstones are purged in the term in which their replicas were compared.
    let inline purgedInTheSameTerm () = isOn "purged-in-the-same-term"

    /// Replicas are compared, and tombstones purged, in the term in which they may still be made.
    let inline comparedInTheSameTerm () = isOn "compared-in-the-same-term"

    /// A pass certifies what it compared, whoever was left out.
    let inline certifiedWithoutAReplica () = isOn "certified-without-a-replica"

    /// A replica that is being filled answers as if it were full.
    let inline fillingStoreServes () = isOn "filling-store-serves"

    /// A replica is filled from one other alone.
    let inline rebuiltFromOneAlone () = isOn "rebuilt-from-one-alone"

    /// A replica's older copy of its data passes for what was written last.
    let inline olderCopyServes () = isOn "older-copy-serves"

    /// Tombstones are purged from the replicas that are there, whoever is away.
    let inline purgedWithAReplicaAway () = isOn "purged-with-a-replica-away"

    /// Tombstones are purged while their shard moves.
    let inline floorMovesInAMigration () = isOn "floor-moves-in-a-migration"

    /// A replica that has purged a tombstone is taken for one that never had it.
    let inline purgedTombstonesMissed () = isOn "purged-tombstones-missed"

    /// Heals and purges are admitted below the barrier.
    let inline upkeepCarriesNoEpoch () = isOn "upkeep-carries-no-epoch"

    /// A purge takes whichever incarnation of the store is there.
    let inline purgeOfAnyIncarnation () = isOn "purge-of-any-incarnation"

    /// Of digests only the counts are compared.
    let inline countsComparedAlone () = isOn "counts-compared-alone"

    /// Digests keep what was replaced or purged.
    let inline digestsOnlyGrow () = isOn "digests-only-grow"

    /// Digests are kept in memory, and not written with what they are digests of.
    let inline digestsNotDurable () = isOn "digests-not-durable"

    /// A merge takes keys in whatever order they come.
    let inline orderNotChecked () = isOn "order-not-checked"

    /// Copies of one version are taken for equal.
    let inline conflictsNotSeen () = isOn "conflicts-not-seen"

    /// Of copies that differ the first is kept.
    let inline healedByTheFirst () = isOn "healed-by-the-first"

    /// A scrub takes bodies to be what their digests say.
    let inline bodiesNotScrubbed () = isOn "bodies-not-scrubbed"

    /// A pass certifies a shard that it has only scrubbed.
    let inline scrubCertifies () = isOn "scrub-certifies"

    /// With the delta pass skipped, a source goes as soon as its shard has switched.
    let inline certificateNotAwaited () = isOn "certificate-not-awaited"

    /// Any certificate releases a source, whatever it is of and whoever was compared.
    let inline certificateNotExamined () = isOn "certificate-not-examined"
