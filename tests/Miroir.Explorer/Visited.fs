namespace Miroir.Explorer

open System
open System.Threading

/// The states seen, by fingerprint, each with the state that it was first reached from and by which of its steps: 22
/// bytes and its place in a table, in 256 shards with a lock each.
[<Sealed>]
type Visited() =
    let shards = Array.init 256 (fun _ -> Shard())
    let mutable count = 0L

    member _.Count = Volatile.Read &count

    /// Above every state's number.
    member _.Bound = 256 * (shards |> Array.map _.Count |> Array.max)

    /// The state's number, and whether it is new.
    member _.Add(print: Fingerprint, parent: int, ordinal: int) : struct (int * bool) =
        let s = int (print.A >>> 56)
        let struct (i, isNew) = shards[s].Add(print, parent, ordinal)

        if isNew then
            Interlocked.Increment &count |> ignore

        struct (s + 256 * i, isNew)

    /// The steps from the beginning to a state.
    member _.Path(state: int) : int list =
        let rec walk state path =
            if state < 0 then
                path
            else
                let struct (parent, ordinal) = shards[state % 256].Origin(state / 256)
                if parent < 0 then path else walk parent (ordinal :: path)

        walk state []

and [<Sealed>] private Shard() =
    let mutable prints = Array.zeroCreate<Fingerprint> 256
    let mutable parents = Array.zeroCreate<int> 256
    let mutable ordinals = Array.zeroCreate<uint16> 256
    let mutable table = Array.zeroCreate<int> 512
    let mutable count = 0

    let place (print: Fingerprint) (into: int[]) =
        let mask = into.Length - 1
        let mutable at = int print.B &&& mask

        while into[at] <> 0
              && not (prints[into[at] - 1].A = print.A && prints[into[at] - 1].B = print.B) do
            at <- (at + 1) &&& mask

        at

    member _.Count = count

    /// Its place here, and whether it is new.
    member this.Add(print: Fingerprint, parent: int, ordinal: int) : struct (int * bool) =
        lock this (fun () ->
            let at = place print table

            if table[at] <> 0 then
                struct (table[at] - 1, false)
            else
                if count = prints.Length then
                    let size = count + count / 2
                    Array.Resize(&prints, size)
                    Array.Resize(&parents, size)
                    Array.Resize(&ordinals, size)

                prints[count] <- print
                parents[count] <- parent
                ordinals[count] <- uint16 ordinal
                count <- count + 1
                table[at] <- count

                if 4 * count > 3 * table.Length then
                    let larger = Array.zeroCreate<int>(2 * table.Length)

                    for i in 0 .. count - 1 do
                        larger[place prints[i] larger] <- i + 1

                    table <- larger

                struct (count - 1, true))

    member this.Origin(i: int) : struct (int * int) =
        lock this (fun () -> struct (parents[i], int ordinals[i]))
