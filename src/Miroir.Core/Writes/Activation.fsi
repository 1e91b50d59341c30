namespace Miroir.Core

/// A new writer's barriers, which it raises before it does anything else: the route's own epoch at the replicas of
/// every quorum set, and at the owners every route that ended in this one. Immutable.
[<Sealed>]
type ActivationState =
    member Route: Route
    /// RF-W+1 serving replicas of every set stand behind all that they must: the writer may begin.
    member IsActive: bool
    /// A node knows a newer epoch than the route's: it will never confirm this one.
    member IsOutdated: bool
    /// Which of its barriers stand: what tells two states of one route apart.
    member internal Confirmed: bool[]

[<RequireQualifiedAccess>]
module Activation =

    val start: route: Route -> ActivationState

    /// What has to be asked (again), by replica: the barriers not yet confirmed there.
    val outstanding: state: ActivationState -> struct (Replica * BarrierCommand)[]

    /// A replica's answer. Answers to other routes' activations change nothing.
    val replied:
        state: ActivationState -> replica: Replica -> command: BarrierCommand -> reply: BarrierReply -> ActivationState
