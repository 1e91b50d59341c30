namespace Miroir.Explorer

open System
open System.Diagnostics
open System.Threading

/// How far a search may go.
type SearchBounds = {
    MaxStates: int64
    MaxSeconds: float
    Threads: int
    /// A line for each layer.
    ShowsProgress: bool
}

/// How a search ended.
type Outcome = {
    Setting: Setting
    States: int64
    Steps: int64
    Depth: int
    Seconds: float
    /// Every state within the bounds was seen.
    IsExhausted: bool
    /// What was broken, "" where nothing, and the shortest way there.
    Broken: string
    Story: string list
    Reached: Sometimes list
}

/// Breadth first, layer by layer, so that the first thing broken is broken in the fewest steps.
[<RequireQualifiedAccess>]
module Search =

    let private wedged (w: World) (what: string) : string =
        let phases = w.Ops |> Array.map (fun op -> string op.Phase) |> String.concat ", "

        let moves =
            w.Coordinator.State.Moves
            |> Array.map (fun m -> string m.Step)
            |> String.concat ", "

        $"no wedge: {what}; the migration is {w.Coordinator.State.Status} ({moves}), operations {phases}"

    /// The steps of a path as a story, and what is to be said of the world at its end.
    let tell (setting: Setting) (path: int list) (conclude: World -> string) : string * string list =
        let story = ResizeArray<string>()
        let mutable w = Beginning.initial setting
        let mutable n = 0

        for ordinal in path do
            let step = (Moves.successors setting w)[ordinal]
            n <- n + 1
            story.Add $"%3d{n}. {step.Told()}"

            for line in Story.became setting w step.World do
                story.Add $"       {line}"

            w <- step.World

        let broken = conclude w
        story.Add $"     broken: {broken}"
        broken, List.ofSeq story

    let run (setting: Setting) (bounds: SearchBounds) : Outcome =
        let threads = max 1 bounds.Threads
        Coordination.reset setting.IsReduced
        Documents.reset ()
        Seen.reset ()
        let watch = Stopwatch.StartNew()
        let visited = Visited()
        let mutable steps = 0L
        let mutable depth = 0
        let first = Beginning.initial setting
        let ways = Ways threads
        let struct (root, _) = visited.Add(first.Print, -1, 0)
        let mutable frontier = [| struct (first, root) |]
        /// Where, and what is to be said of the world there.
        let violation: (int * (World -> string)) option ref = ref None
        let mutable isCut = false

        let found (state: int) (what: World -> string) =
            lock violation (fun () ->
                if violation.Value.IsNone then
                    violation.Value <- Some(state, what))

        while frontier.Length > 0 && violation.Value.IsNone && not isCut do
            let layer = frontier
            let cursor = ref 0
            ways.BeginLayer()
            let nexts = Array.init threads (fun _ -> ResizeArray<struct (World * int)>())

            let work (t: int) =
                let mine = nexts[t]
                let leadsTo = ResizeArray<int>()
                let mutable taken = 0L
                let mutable go = true

                while go do
                    let from = Interlocked.Add(cursor, 64) - 64

                    if
                        from >= layer.Length
                        || violation.Value.IsSome
                        || visited.Count >= bounds.MaxStates
                        || watch.Elapsed.TotalSeconds > bounds.MaxSeconds
                    then
                        go <- false
                    else
                        for at in from .. min (from + 63) (layer.Length - 1) do
                            let struct (w, number) = layer[at]
                            // Done with: its memory can be had again while the layer is worked on.
                            layer[at] <- Unchecked.defaultof<_>

                            try
                                let here = w.Print
                                let all = Moves.successors setting w
                                let mutable isStuck = true
                                leadsTo.Clear()

                                for ordinal in 0 .. all.Count - 1 do
                                    let next = all[ordinal].World
                                    let print = next.Print
                                    taken <- taken + 1L
                                    let struct (state, isNew) = visited.Add(print, number, ordinal)

                                    if print <> here then
                                        isStuck <- false

                                        if not all[ordinal].IsFault then
                                            leadsTo.Add state

                                    if isNew || next.Broken <> "" then
                                        let broken = Properties.broken setting next

                                        if broken = "" then
                                            mine.Add(struct (next, state))
                                        elif isNew then
                                            found state (fun _ -> broken)
                                        else
                                            // Broken on the way into a state that others reach well.
                                            let struct (state, _) =
                                                visited.Add({ print with B = ~~~print.B }, number, ordinal)

                                            found state (fun _ -> broken)

                                if Properties.isOver w then
                                    ways.AddOver(t, number)
                                elif isStuck then
                                    found number (fun w -> wedged w "nothing can happen any more")
                                else
                                    ways.Add(t, number, leadsTo)
                            with e ->
                                found number (fun _ -> $"total: {e.GetType().Name}: {e.Message} {e.StackTrace}")

                Interlocked.Add(&steps, taken) |> ignore

            if threads = 1 || layer.Length < 128 then
                work 0
            else
                let others = [|
                    for t in 1 .. threads - 1 do
                        let thread = Thread(ThreadStart(fun () -> work t), 16 * 1024 * 1024)
                        thread.Start()
                        thread
                |]

                work 0

                for thread in others do
                    thread.Join()

            frontier <- nexts |> Seq.concat |> Seq.toArray

            if frontier.Length > 0 then
                depth <- depth + 1

            if bounds.ShowsProgress then
                printfn
                    "  layer %d: %d states to go on from, %d seen, %.1f s"
                    depth
                    frontier.Length
                    visited.Count
                    watch.Elapsed.TotalSeconds

            if
                visited.Count >= bounds.MaxStates
                || watch.Elapsed.TotalSeconds > bounds.MaxSeconds
            then
                isCut <- frontier.Length > 0

        if violation.Value.IsNone && not isCut then
            match ways.Stranded visited.Bound with
            | -1 -> ()
            | state -> found state (fun w -> wedged w "without another fault, no way leads to the end")

        let broken, story =
            match violation.Value with
            | None -> "", []
            | Some(state, what) -> tell setting (visited.Path state) what

        {
            Setting = setting
            States = visited.Count
            Steps = steps
            Depth = depth
            Seconds = watch.Elapsed.TotalSeconds
            IsExhausted = not isCut && broken = ""
            Broken = broken
            Story = story
            Reached = [
                for what in Enum.GetValues<Sometimes>() do
                    if Seen.has what then
                        what
            ]
        }
