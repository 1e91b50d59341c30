namespace Miroir.Core

/// Faults seeded into the protocol, to show that the proofs would find them. They exist only in the test build:
/// elsewhere each is a constant false that the compiler removes.
[<RequireQualifiedAccess>]
module Mutants =

#if MUTANTS
    let mutable private active: Set<string> = Set.empty

    /// Turns faults on by name, for this process.
    let activate (names: string[]) = active <- Set.ofArray names

    let private isOn (name: string) = active.Contains name

    /// Shards switch without having been compared with their sources.
    let deltaPassLeftOut () = isOn "delta-pass-left-out"
#else
    /// Shards switch without having been compared with their sources.
    let inline deltaPassLeftOut () = false
#endif
