namespace Miroir.Core

/// Faults seeded into the protocol, to show that the proofs would find them. They exist only in the test build:
/// elsewhere each is a constant false that the compiler removes.
[<RequireQualifiedAccess>]
module Mutants =

#if MUTANTS
    let mutable private active: Set<string> = Set.empty
    let mutable private isAnyActive = false

    /// Turns faults on by name, for this process.
    let activate (names: string[]) =
        active <- Set.ofArray names
        isAnyActive <- names.Length > 0

    let private isOn (name: string) = isAnyActive && active.Contains name

    /// Shards switch without having been compared with their sources.
    let deltaPassLeftOut () = isOn "delta-pass-left-out"

    /// The delta pass begins without the Joint barrier.
    let jointBarrierLeftOut () = isOn "joint-barrier-left-out"

    /// Sources are deleted without the ended route's barrier on the targets.
    let retiringBarrierLeftOut () = isOn "retiring-barrier-left-out"

    /// A new writer begins without its barriers.
    let writerBarrierLeftOut () = isOn "writer-barrier-left-out"

    /// The writer of a new shard raises its own barrier alone, not those of the routes that ended in it.
    let fenceLeftOut () = isOn "fence-left-out"

    /// Barriers are taken for confirmed with one node too few.
    let barrierOneTooFew () = isOn "barrier-one-too-few"

    /// A new writer goes on in its predecessor's term.
    let termNotRaised () = isOn "term-not-raised"

    /// A shard that takes another over goes on in that one's term.
    let termNotRaisedAtRetirement () = isOn "term-not-raised-at-retirement"

    /// A read answers the highest version of a write quorum of replies, whoever else holds it.
    let readNotConfirmed () = isOn "read-not-confirmed"

    /// An update rests on what the read found alone, not on what was issued before it.
    let baseRuleLeftOut () = isOn "base-rule-left-out"

    /// What answered under an older epoch still counts under a newer one.
    let answersCarriedAcrossEpochs () = isOn "answers-carried-across-epochs"

    /// A late answer to a put under an older epoch counts.
    let epochOfAnswersIgnored () = isOn "epoch-of-answers-ignored"

    /// A read takes a refusal for its epoch for a node that failed.
    let readDoesNotStartAgain () = isOn "read-does-not-start-again"

    /// A greater version of a later term is taken for holding the put.
    let supersededCountedAcrossTerms () = isOn "superseded-counted-across-terms"

    /// An open put goes out again under a route of another term.
    let putGoesOnInAnotherTerm () = isOn "put-goes-on-in-another-term"

    /// A put whose term ended is run again without a look at what is there.
    let inspectionLeftOut () = isOn "inspection-left-out"

    /// Effects are known by what they are about: an answer to an earlier attempt is taken for a later one's.
    let staleAttemptAccepted () = isOn "stale-attempt-accepted"

    /// A store is dropped in whichever incarnation, whoever made it.
    let cleanupOfAnyIncarnation () = isOn "cleanup-of-any-incarnation"

    /// Nobody asks for the targets' incarnations before switching and retiring.
    let incarnationsNotChecked () = isOn "incarnations-not-checked"

    /// A migration is undone although a source has retired.
    let abortAfterRetirement () = isOn "abort-after-retirement"

    /// In Joint and Switched a write quorum of the owners is enough.
    let jointAcknowledgedByOwners () = isOn "joint-acknowledged-by-owners"

    /// The shard goes on when its barrier is not confirmed in time.
    let drainTimeoutIgnored () = isOn "drain-timeout-ignored"

    /// A migration may skip the delta pass with anti-entropy off, and retires its sources uncompared.
    let skipDeltaGateLeftOut () = isOn "skip-delta-gate-left-out"
#else
    /// Shards switch without having been compared with their sources.
    let inline deltaPassLeftOut () = false

    /// The delta pass begins without the Joint barrier.
    let inline jointBarrierLeftOut () = false

    /// Sources are deleted without the ended route's barrier on the targets.
    let inline retiringBarrierLeftOut () = false

    /// A new writer begins without its barriers.
    let inline writerBarrierLeftOut () = false

    /// The writer of a new shard raises its own barrier alone, not those of the routes that ended in it.
    let inline fenceLeftOut () = false

    /// Barriers are taken for confirmed with one node too few.
    let inline barrierOneTooFew () = false

    /// A new writer goes on in its predecessor's term.
    let inline termNotRaised () = false

    /// A shard that takes another over goes on in that one's term.
    let inline termNotRaisedAtRetirement () = false

    /// A read answers the highest version of a write quorum of replies, whoever else holds it.
    let inline readNotConfirmed () = false

    /// An update rests on what the read found alone, not on what was issued before it.
    let inline baseRuleLeftOut () = false

    /// What answered under an older epoch still counts under a newer one.
    let inline answersCarriedAcrossEpochs () = false

    /// A late answer to a put under an older epoch counts.
    let inline epochOfAnswersIgnored () = false

    /// A read takes a refusal for its epoch for a node that failed.
    let inline readDoesNotStartAgain () = false

    /// A greater version of a later term is taken for holding the put.
    let inline supersededCountedAcrossTerms () = false

    /// An open put goes out again under a route of another term.
    let inline putGoesOnInAnotherTerm () = false

    /// A put whose term ended is run again without a look at what is there.
    let inline inspectionLeftOut () = false

    /// Effects are known by what they are about: an answer to an earlier attempt is taken for a later one's.
    let inline staleAttemptAccepted () = false

    /// A store is dropped in whichever incarnation, whoever made it.
    let inline cleanupOfAnyIncarnation () = false

    /// Nobody asks for the targets' incarnations before switching and retiring.
    let inline incarnationsNotChecked () = false

    /// A migration is undone although a source has retired.
    let inline abortAfterRetirement () = false

    /// In Joint and Switched a write quorum of the owners is enough.
    let inline jointAcknowledgedByOwners () = false

    /// The shard goes on when its barrier is not confirmed in time.
    let inline drainTimeoutIgnored () = false

    /// A migration may skip the delta pass with anti-entropy off, and retires its sources uncompared.
    let inline skipDeltaGateLeftOut () = false
#endif
