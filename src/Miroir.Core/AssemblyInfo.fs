namespace Miroir.Core

open System.Runtime.CompilerServices

[<assembly: InternalsVisibleTo("Miroir.Core.Tests")>]
[<assembly: InternalsVisibleTo("Miroir.Simulation")>]
[<assembly: InternalsVisibleTo("Miroir.Explorer")>]
do ()
