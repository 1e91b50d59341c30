namespace Miroir.Scripting

open System.Runtime.CompilerServices

[<assembly: InternalsVisibleTo("Miroir.Server.Tests")>]
do ()
