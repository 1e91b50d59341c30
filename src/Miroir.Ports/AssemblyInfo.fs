namespace Miroir.Ports

open System.Runtime.CompilerServices

[<assembly: InternalsVisibleTo("Miroir.Simulation")>]
do ()
