namespace Miroir.Explorer

/// Where each state leads without any more faults, so that a state from which nothing leads to the end is found. With
/// finitely many states, that each of them has a way to the end is the same as that fair delivery comes to it.
[<Sealed>]
type Ways(searchers: int) =
    /// By searcher, in the order of the search: a state, how many it leads to (or `over`), and these.
    let found = Array.init searchers (fun _ -> ResizeArray<int>())
    let layers = ResizeArray<int[]>()

    /// In place of a count: there is nowhere left to go.
    let over = -1

    let ends () = found |> Array.map _.Count

    member _.BeginLayer() = layers.Add(ends ())

    member _.AddOver(searcher: int, state: int) =
        found[searcher].Add state
        found[searcher].Add over

    member _.Add(searcher: int, state: int, next: ResizeArray<int>) =
        let mine = found[searcher]
        mine.Add state
        mine.Add next.Count
        mine.AddRange next

    /// The first state of the search that has no way to one that is over, or -1. `bound`: above every state's number.
    member _.Stranded(bound: int) : int =
        let leads = Array.zeroCreate<bool> bound
        let layers = Array.append (layers.ToArray()) [| ends () |]
        let mutable stranded = -1
        let mutable changes = true

        /// Whether each state of a layer leads on by what is known so far: noted, and the first that does not is told.
        let look (layer: int) =
            for searcher in 0 .. searchers - 1 do
                let all = found[searcher]
                let mutable at = layers[layer][searcher]

                while at < layers[layer + 1][searcher] do
                    let state = all[at]
                    let count = all[at + 1]
                    at <- at + 2

                    if not leads[state] then
                        let mutable isLeading = count = over

                        for i in at .. at + count - 1 do
                            isLeading <- isLeading || leads[all[i]]

                        if isLeading then
                            leads[state] <- true
                            changes <- true
                        else
                            stranded <- state

                    at <- at + max 0 count

        // Ways lead on to later layers, nearly always: from the last to the first, until nothing is new.
        while changes do
            changes <- false
            stranded <- -1

            for layer in layers.Length - 2 .. -1 .. 0 do
                look layer

        stranded
