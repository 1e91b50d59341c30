module Miroir.Core.Tests.StyleTests

open System.IO
open System.Reflection
open NUnit.Framework

[<Test>]
let ``Core depends on no other room`` () =
    let core = Path.Combine(TestContext.CurrentContext.TestDirectory, "Miroir.Core.dll")

    let rooms =
        Assembly.LoadFrom(core).GetReferencedAssemblies()
        |> Array.filter (fun name -> (string name).StartsWith "Miroir.")

    Assert.That(rooms, Is.Empty)
