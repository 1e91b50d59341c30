/// Every seeded fault, and what is to find it: data for Mutants.fsx. A fault may stand in several layers.
module MutantTable

/// What is run with a fault seeded.
type Killer =
    /// Tests of a program: all that the filter lets through have to fail, and say this.
    | Tests of project: string * filter: string * says: string
    /// The simulator, from seed 1 on up to this one, until one is wrong.
    | Seeds of upTo: int64

type Mutant = {
    /// Names of src/Miroir.Core/Mutants.fs; several, joined by plus signs, where each alone is made up for by the other's
    /// rule.
    Name: string
    Layer: string
    Killer: Killer
    /// Why nothing finds it; "" where something must.
    Survives: string
}

let private row layer killer name = {
    Name = name
    Layer = layer
    Killer = killer
    Survives = ""
}

let private core test says =
    row "core tests" (Tests("Miroir.Core.Tests", test, says))

let private store test says =
    row "store tests" (Tests("Miroir.Stores.Tests", test, says))

let private crash test says =
    row "power cuts" (Tests("Miroir.Stores.Tests", test, says))

let private host test says =
    row "host tests" (Tests("Miroir.Simulation", test, says))

let private seeds upTo = row "simulator" (Seeds upTo)

let private survives upTo why name = {
    row "simulator" (Seeds upTo) name with
        Survives = why
}

/// Those of the explorer are in tests/Miroir.Explorer/KillTable.fs, with the configurations that are to find them.
let mutants: Mutant list = [
    // The cutover.
    "joint-barrier-left-out"
    |> core "without faults a migration completes" "DeltaPass without the Joint barrier"
    "retiring-barrier-left-out"
    |> core "without faults a migration completes" "before the ended route's barrier is confirmed"
    "barrier-one-too-few"
    |> core "without faults a migration completes one copy merged" "not over owners behind the Joint barrier"
    "final-read-before-the-barrier"
    |> core "without faults a migration completes" "not over owners behind the Joint barrier"
    "activated-before-the-drain"
    |> core "without faults a migration completes merge" "without a valid certificate"
    "publish-not-awaited"
    |> core "without faults a migration completes" "a route does not follow the one that is published"
    "term-not-raised-at-retirement"
    |> core "without faults a migration completes" "does not take books/1/0 over"
    "skip-delta-gate-left-out"
    |> core "no migration may skip its delta pass" "it was started"
    "abort-after-retirement" |> core "there is no way back" "it was aborted"
    "drain-timeout-ignored"
    |> core "falls back and waits to be told again" "Expected: True"
    "stale-attempt-accepted"
    |> core "through every fault it ends" "has a number that may be given again"

    // Writes and reads.
    "writer-barrier-left-out"
    |> core "a writer begins only once" "Expected true, got false."
    "read-not-confirmed"
    |> core "a read answers only with the highest" "Expected true, got false."
    "base-rule-left-out"
    |> core "the base is the greater" "Expected true, got false."
    "answers-carried-across-epochs"
    |> core "a write is acknowledged exactly when" "Expected true, got false."
    "epoch-of-answers-ignored"
    |> core "a write is acknowledged exactly when" "Expected true, got false."
    "read-does-not-start-again"
    |> core "a read that meets a newer epoch starts again" "Expected: <StartAgain"
    "superseded-counted-across-terms"
    |> core "a write counts no later term" "Expected: True"
    "put-goes-on-in-another-term" |> core "ends in inspection" "Expected: <Inspect"
    "inspection-left-out"
    |> core "inspection completes what is there" "Expected true, got false."
    "writer-does-not-put-back" |> host "AHalfDoneWriteOnceReadStaysRead" "But was"

    "base-rule-left-out"
    |> host "AnUpdateRestsOnWhatWasIssuedWhateverBecameOfIt" "But was"

    // The change feed.
    "bound-ignores-undecided"
    |> host "AnOpenWriteHoldsTheFeedBackUntilItIsDecided" "what is behind an open write waits for it"
    "bound-ignores-undecided" |> seeds 20L
    "no-fresh-position"
    |> host "AVersionOfAnEndedTermThatAReadPutsBackIsPlacedWhereNoReaderHasPassed" "Expected is <System.Guid[2]>"
    "no-fresh-position"
    |> host "AnInspectedWriteThatIsFoundIsPlacedWhereNoReaderHasPassed" "Expected is <System.Guid[2]>"
    "log-only-at-applied"
    |> host "WhatACopyBroughtFirstIsLoggedWithTheWriteItself" "Expected is <System.Guid[1]>"
    "feed-fences-left-out"
    |> host "AWriteUnderARouteThatEndedCannotLandBehindTheReader" "Expected: some item equal to"

    // The coordinator.
    "leader-term-not-checked"
    |> host "ADeposedLeaderWritesNothing" "Expected: Deposed"
    "key-revisions-not-checked"
    |> host "AWriteOverWhatTheLeaderDoesNotKnowIsRefused" "Expected: Deposed"
    "unknown-commit-taken-for-failure"
    |> host "ACommitWithoutAnAnswerIsLookedUp True" "Expected: Committed"
    "journal-after-performing"
    |> host "NothingIsPerformedBeforeItsCauseIsInTheJournal" "was performed"

    // Copies and delta passes.
    "tombstones-left-out-of-copy" |> host "ACopyBringsEverythingAndSaysSo" "deleted"
    "tombstones-left-out-of-delta"
    |> host "AfterADeltaPassTheTargetDominatesTheMerge" "progress.Copied"
    "position-before-data"
    |> host "ThePositionToldIsNeverAheadOfWhatIsPut" "a position was told before its data was put"

    // Stores: every one of them, in memory too.
    "epoch-check-left-out"
    |> store "EachOperationIsRefusedBelowTheBarrier" "put?.Epoch"
    "epoch-check-before-the-transaction"
    |> store "NoOlderPutCommitsAfterARaiseHasReturned" "was over when its barrier was raised"
    "reads-below-the-barrier"
    |> store "EachOperationIsRefusedBelowTheBarrier" "ReadStaleEpoch"
    "drops-carry-no-epoch"
    |> store "EachOperationIsRefusedBelowTheBarrier" "Expected: <DropStaleEpoch"
    "raising-left-out" |> store "AnyNewerRequestRaisesTheBarrier" "after a scan"
    "barrier-not-durable"
    |> store "ABarrierOutlivesDropAndReboot" "Expected: <MakeStaleEpoch"
    "barrier-not-durable"
    |> crash "NothingAcknowledgedIsLostAndNothingIsHalfThere" "the barrier stands at"
    "barrier-forgotten-at-drop"
    |> store "ABarrierOutlivesDropAndReboot" "Expected: <MakeStaleEpoch"
    "older-overwrites"
    |> store "APutIsSupersededByVersionAlone" "Expected: <Superseded"
    "incarnation-kept"
    |> store "AStoreMadeAgainIsAnotherIncarnation" "after, Is.Not.EqualTo(before)"
    "not-serving-answers-absent"
    |> store "WhereThereIsNoStoreNothingIsAbsent" "IsReadNotServing"
    "make-wipes" |> store "ALateMakingWipesNothing" "Expected: <Made"
    // Whatever it meets first: a put that is lost, or a file that is not what the node wrote last.
    "sync-left-out"
    |> crash "NothingAcknowledgedIsLostAndNothingIsHalfThere" "steps with Loss"
    "sync-left-out"
    |> crash "NoAcknowledgedCommitIsLostAndNoneIsHalfThere" "was acknowledged"
    "answered-before-commit"
    |> crash "NothingAcknowledgedIsLostAndNothingIsHalfThere" "was acknowledged"

    // Anti-entropy: digests, comparison, verdicts.
    "digests-combined-by-xor"
    |> core "two equal changes and a row twice are found" "Falsifiable"
    "counts-compared-alone"
    |> core "The streamed diff is the naive set difference" "Expected: True"
    "order-not-checked"
    |> core "An entry out of order stops the merge" "Expected: <OutOfOrder"
    "conflicts-not-seen"
    |> core "Content that differs at the highest version stays corruption" "Expected: <Differs Corrupt>"
    "purged-tombstones-missed"
    |> core "A purged tombstone below the floor is no difference" "Expected"
    "settle-left-out"
    |> host "WritesOnTheirWayAreNoDifferenceAndWhatStaysIsFound" "Expected is"
    "settle-left-out"
    |> host "WritesGoingOnAreNoDivergenceAndWhatWasPlantedIsFoundAllTheSame" "quiet.Documents"
    "compared-across-incarnations"
    |> host "AReplicaMadeAnewMeanwhileEndsIt" "PassEndedException"
    "digests-only-grow"
    |> store "SqliteNodeStoreTests EveryRunAnswersAsTheReferenceDoes" "digests of"
    "digests-not-durable"
    |> store "SqliteNodeStoreTests EveryRunAnswersAsTheReferenceDoes" "digests of"
    "digests-not-durable"
    |> crash "NothingAcknowledgedIsLostAndNothingIsHalfThere" "have entries and no digest"

    // Anti-entropy: repairs and rebuilding.
    "repair-by-the-lowest"
    |> core "No version below an acknowledged one is ever picked" "Expected"
    "repair-without-quorum"
    |> core "No version below an acknowledged one is ever picked" "Expected"
    "healed-by-the-first"
    |> core "Wrong content is healed by the majority" "Falsifiable"
    "repair-around-the-writer"
    |> host "ARepairWaitsForTheWriteBeforeItOfTheSameDocument" "was spread under the update"
    "heal-overwrites-newer"
    |> store "AHealReplacesOnlyTheVersionThatItIsOf" "NothingToHeal"
    "upkeep-carries-no-epoch"
    |> store "EachOperationIsRefusedBelowTheBarrier" "HealStaleEpoch"
    "filling-store-serves"
    |> store "WhatIsBeingFilledAnswersNothing" "while it is filled it says"
    "rebuilt-from-one-alone"
    |> host "ARebuiltStoreHoldsTheMergeOfItsSources" "Expected"
    "older-copy-serves" |> store "AnOlderCopyOfAFileIsKnownForOne" "Expected"
    "older-copy-serves"
    |> host "DeletesDoNotComeBackWithAReplicaAwayPastTheFloor" "it answers nothing"
    "bodies-not-scrubbed"
    |> store "AFlippedBitInABodyIsRefusedWhereverItIsReadAndHealed" "Expected"
    "bodies-not-scrubbed"
    |> host "AFlippedBitIsFoundByAScrubAndHealed" "doc7 Corrupt Repaired"

    // Anti-entropy: certificates, and tombstones that go.
    "certified-without-a-replica"
    |> host "NothingIsCertifiedWhereAReplicaIsLeftOut" "shard.IsCertified"
    "scrub-certifies" |> host "AScrubCertifiesNothing" "shard.IsCertified"
    "certificate-not-awaited"
    |> core "without its delta pass a migration completes one copy merged" "it does not end"
    "certificate-not-examined"
    |> core "without its delta pass a migration completes" "a certificate that proves nothing was taken"
    "purged-without-proof"
    |> host "NothingIsPurgedWhereADifferenceStays" "Divergent"
    "purged-in-the-same-term"
    |> host "TombstonesGoOnceEveryReplicaHasThemAndNothingOlderComesBack" "it has come back"
    "compared-in-the-same-term"
    |> host "WhatIsDeletedWhileReplicasAreComparedIsNotPurged" "something deleted has come back"
    "purged-with-a-replica-away+certified-without-a-replica"
    |> host "DeletesDoNotComeBackWithAReplicaAwayWhilePassesRun" "the floor waits for n3"
    "floor-moves-in-a-migration"
    |> host "TheFloorStandsStillWhileAShardMoves" "shard.Purged"
    "purge-of-any-incarnation"
    |> store "APurgeIsOfTheIncarnationThatWasCompared" "of another incarnation"

    // All of it together, under the simulator's disasters.
    "delta-pass-left-out" |> seeds 300L
    "tombstones-left-out-of-delta" |> seeds 300L
    "older-overwrites" |> seeds 300L
    "term-not-raised-at-retirement" |> seeds 300L
    "barrier-one-too-few+raising-left-out" |> seeds 300L
    "tombstones-left-out-of-copy"
    |> survives 100L "the delta pass compares tombstones too, and copies what the copy left out"
    "position-before-data"
    |> survives 100L "what a copy that goes on leaves out is found by the delta pass, which begins at the beginning"
]
