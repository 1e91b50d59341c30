namespace Miroir.Core.Cutover

/// The cutover as a pure function: no clock, no randomness, no I/O. What the coordinator journals, what the explorer
/// searches and what the simulator runs is this.
[<RequireQualifiedAccess>]
module Transition =

    /// The migration's first state, and its first effects.
    val start: atUnixMs: int64 -> plan: Plan -> Result<State * Effect list, Rejection>

    /// One observation in one state: the next state and the effects that are to be performed, or why it is refused,
    /// which changes nothing. Total: any observation in any state gives one or the other. The same answer given
    /// twice is taken once.
    val step: state: State -> observation: Observation -> Result<State * Effect list, Rejection>

    /// What was in force when the last journalled observation had been taken, from all of them in order. The effects
    /// still outstanding are what a new leader performs again.
    val recover: journal: Observation seq -> Result<State, Rejection>

    /// Effects whose answers are awaited, in the order they were handed out.
    val outstanding: state: State -> Effect list
