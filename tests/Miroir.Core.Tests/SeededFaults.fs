namespace global

#if MUTANTS
open System
open Miroir.Core
open NUnit.Framework

/// For all tests of this program: faults of src/Miroir.Core/Mutants.fs that the variable MIROIR_MUTANTS names, joined
/// by plus signs. Outside of every namespace, so that it is for all of them.
[<SetUpFixture>]
type SeededFaults() =
    [<OneTimeSetUp>]
    member _.Activate() =
        match Environment.GetEnvironmentVariable "MIROIR_MUTANTS" |> Option.ofObj with
        | None
        | Some "" -> ()
        | Some names -> Mutants.activate (names.Split '+')
#endif
