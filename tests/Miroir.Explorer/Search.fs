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

    /// One state in so many is led to its end by fair delivery alone.
    [<Literal>]
    let private FairEach = 1024UL

    [<Literal>]
    let private FairSteps = 3000

    /// Without any more faults, everything comes to an end. "" where it does.
    let private comesToAnEnd (setting: Setting) (from: World) : string =
        let mutable w = from
        let mutable steps = 0
        let mutable seed = from.Print.B ||| 1UL
        let mutable isOver = Properties.isOver w
        let mutable stuck = false

        while not isOver && not stuck && steps < FairSteps do
            let here = w.Print

            let next =
                Moves.successors setting w
                |> Seq.filter (fun s -> not s.IsFault && s.World.Print <> here)
                |> Seq.toArray

            if next.Length = 0 then
                stuck <- true
            else
                seed <- seed * 6364136223846793005UL + 1442695040888963407UL
                w <- next[int ((seed >>> 33) % uint64 next.Length)].World
                steps <- steps + 1
                isOver <- Properties.isOver w

        if isOver then
            ""
        else
            let phases = w.Ops |> Array.map (fun op -> string op.Phase) |> String.concat ", "

            let moves =
                w.Coordinator.State.Moves
                |> Array.map (fun m -> string m.Step)
                |> String.concat ", "

            $"no wedge: {steps} steps of fair delivery later the migration is {w.Coordinator.State.Status} ({moves}), operations {phases}"

    let private tell (setting: Setting) (path: int list) (broken: string) : string list =
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

        story.Add $"     broken: {broken}"
        List.ofSeq story

    let run (setting: Setting) (bounds: SearchBounds) : Outcome =
        let threads = max 1 bounds.Threads
        Coordination.reset ()
        Documents.reset ()
        Seen.reset ()
        let watch = Stopwatch.StartNew()
        let visited = Visited()
        let mutable steps = 0L
        let mutable depth = 0
        let first = Beginning.initial setting
        let root = visited.Add(first.Print, -1, 0)
        let mutable frontier = [| struct (first, root) |]
        let violation: (int * string) option ref = ref None
        let mutable isCut = false

        let found (state: int) (what: string) =
            lock violation (fun () ->
                if violation.Value.IsNone then
                    violation.Value <- Some(state, what))

        while frontier.Length > 0 && violation.Value.IsNone && not isCut do
            let layer = frontier
            let cursor = ref 0
            let nexts = Array.init threads (fun _ -> ResizeArray<struct (World * int)>())

            let work (t: int) =
                let mine = nexts[t]
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
                                let mutable leads = false

                                for ordinal in 0 .. all.Count - 1 do
                                    let next = all[ordinal].World
                                    let print = next.Print
                                    taken <- taken + 1L

                                    if print <> here then
                                        leads <- true

                                    match visited.Add(print, number, ordinal) with
                                    | -1 when next.Broken = "" -> ()
                                    | state ->
                                        let broken = Properties.broken setting next

                                        if broken <> "" then
                                            // Broken on the way into a state that others reach well.
                                            let state =
                                                if state >= 0 then
                                                    state
                                                else
                                                    visited.Add({ print with B = ~~~print.B }, number, ordinal)

                                            found state broken
                                        elif state >= 0 then
                                            mine.Add(struct (next, state))

                                if not leads && not (Properties.isOver w) then
                                    found number (comesToAnEnd setting w)
                                elif here.A % FairEach = 0UL then
                                    match comesToAnEnd setting w with
                                    | "" -> ()
                                    | stuck -> found number stuck
                            with e ->
                                found number $"total: {e.GetType().Name}: {e.Message} {e.StackTrace}"

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

        let broken, story =
            match violation.Value with
            | None -> "", []
            | Some(state, what) -> what, tell setting (visited.Path state) what

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
