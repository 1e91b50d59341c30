namespace Miroir.Oracle

open System.Runtime.CompilerServices

[<assembly: InternalsVisibleTo("Miroir.Core.Tests")>]
[<assembly: InternalsVisibleTo("Miroir.Simulation")>]
do ()
