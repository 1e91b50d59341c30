namespace Miroir.Core.Cutover

/// What must hold of every state of a migration and of every effect it hands out (docs/cutover.md, the stage table),
/// said apart from the code that makes it so: tests and explorers hold `Transition` to it.
[<RequireQualifiedAccess>]
module Safety =

    /// The invariants that a state breaks, in words; none in every state that `Transition` gives.
    val check: state: State -> string list

    /// What forbids an effect that was just handed out with this state, in words. An effect that was taken back in the
    /// same transition is not judged: nobody waits for it, and its node judges it by its epoch.
    val allows: state: State -> effect: Effect -> string list
