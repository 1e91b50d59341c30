module Miroir.Ctl.Program

open System.Reflection

[<EntryPoint>]
let main _ =
    printfn "miroir-ctl %O" (Assembly.GetExecutingAssembly().GetName().Version)
    0
