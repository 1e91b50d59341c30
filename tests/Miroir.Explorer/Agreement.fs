namespace Miroir.Explorer

open System.Collections.Generic
open System.Diagnostics

/// Holds the reduced search against an unreduced one. In each unreduced state, what can happen next is compared with what
/// can happen next in its image, which is the state reduced: where these lead to the same images in every state, what is
/// broken in one search is broken in the other (the reduced one is the quotient of the unreduced one by a bisimulation;
/// steps from an image to itself are left out). The properties' verdicts are compared in each state too.
[<RequireQualifiedAccess>]
module Agreement =

    /// What matters of a state: what is broken, whether it is over, and which other images it leads to.
    type private Face = {
        Broken: string
        IsOver: bool
        Leads: HashSet<struct (Fingerprint * bool)>
    }

    type private Comparison = {
        /// Unreduced states compared with their images.
        Compared: int64
        Images: int
        /// Every unreduced state was; otherwise as many as were asked for of each image.
        IsWhole: bool
        /// Every image was reached.
        IsExhausted: bool
        /// "" where none differs, and the way there.
        Difference: string
        Story: string list
    }

    let private nameOf (broken: string) =
        match broken.IndexOf ':' with
        | -1 -> broken
        | at -> broken.Substring(0, at)

    let private imageOf (setting: Setting) (w: World) : Fingerprint = (Reduction.apply setting w).Print

    let private face (setting: Setting) (w: World) (image: Fingerprint) (next: (Successor * Fingerprint)[]) : Face = {
        Broken = nameOf (Properties.broken setting w)
        IsOver = Properties.isOver w
        Leads =
            HashSet(
                seq {
                    for step, leadsTo in next do
                        if leadsTo <> image then
                            struct (leadsTo, step.IsFault)
                }
            )
    }

    let private successors (setting: Setting) (w: World) : (Successor * Fingerprint)[] =
        Moves.successors setting w
        |> Seq.map (fun step -> step, imageOf setting step.World)
        |> Seq.toArray

    /// The parts in which two worlds are not alike.
    let private unlike (setting: Setting) (a: World) (b: World) : string =
        let differ (all: World -> 'a[]) (print: 'a -> Fingerprint) =
            Array.map print (all a) <> Array.map print (all b)

        let flights (w: World) =
            w.Flights
            |> Array.map (fun f -> Story.cargo setting f.Cargo)
            |> String.concat "; "

        let mine, its = flights a, flights b

        [
            a.Coordinator.Print <> b.Coordinator.Print, "coordinator"
            differ _.Nodes _.Print, "nodes"
            differ _.Routers _.Print, "routers"
            differ _.Ops _.Print, "operations"
            a.Left <> b.Left, "faults left"
            mine <> its, $"on its way: <{mine}> and <{its}>"
        ]
        |> List.filter fst
        |> List.map snd
        |> String.concat ", "

    /// How a state's face differs from its image's; "" where it does not.
    let private difference (setting: Setting) (image: Fingerprint) (here, next) (its, reduced: World) : string =
        let missing (from: (Successor * Fingerprint)[]) (other: Face) (others: (Successor * Fingerprint)[]) =
            from
            |> Seq.filter (fun (step, leadsTo) ->
                leadsTo <> image && not (other.Leads.Contains(struct (leadsTo, step.IsFault))))
            |> Seq.map (fun (step, _) ->
                let told = step.Told()

                match others |> Seq.tryFind (fun (other, _) -> other.Told() = told) with
                | Some(like, _) ->
                    let parts =
                        unlike setting (Reduction.apply setting step.World) (Reduction.apply setting like.World)

                    $"{told} (with other {parts})"
                | None -> told)
            |> Seq.distinct
            |> String.concat "; or "

        if imageOf setting reduced <> image then
            "its image is not its own image"
        elif here.Broken <> its.Broken then
            $"it breaks '{here.Broken}', its image '{its.Broken}'"
        elif here.IsOver <> its.IsOver then
            "one is over, the other is not"
        elif not (here.Leads.SetEquals its.Leads) then
            let nextOfImage = successors setting reduced
            let mine = missing next its nextOfImage
            let theirs = missing nextOfImage here next
            $"only here: [{mine}]; only in its image: [{theirs}]"
        else
            ""

    /// At most `most` unreduced states are looked at of each image (what is on its way in vain makes them too many).
    let private compare (given: Setting) (most: int64) (bounds: SearchBounds) : Comparison =
        let setting = { given with IsReduced = false }
        Coordination.reset false
        Documents.reset ()
        let watch = Stopwatch.StartNew()
        let visited = Visited()
        let images = Dictionary<Fingerprint, struct (Face * World)>()
        let looked = Dictionary<Fingerprint, int64>()
        let queue = Queue<struct (World * Fingerprint * int)>()
        let mutable isWhole = true
        let mutable compared = 0L
        let mutable different = ""
        let mutable where = 0

        let enqueue (w: World) (image: Fingerprint) (number: int) =
            let before =
                match looked.TryGetValue image with
                | true, count -> count
                | _ -> 0L

            if before < most then
                looked[image] <- before + 1L
                queue.Enqueue(struct (w, image, number))
            else
                isWhole <- false

        let first = Beginning.initial setting
        let struct (root, _) = visited.Add(first.Print, -1, 0)
        enqueue first (imageOf setting first) root

        while queue.Count > 0
              && different = ""
              && compared < bounds.MaxStates
              && watch.Elapsed.TotalSeconds < bounds.MaxSeconds do
            let struct (w, image, number) = queue.Dequeue()
            let next = successors setting w

            let struct (its, reduced) =
                match images.TryGetValue image with
                | true, known -> known
                | _ ->
                    let reduced = Reduction.apply setting w

                    let known =
                        struct (face setting reduced image (successors setting reduced), reduced)

                    images.Add(image, known)
                    known

            different <- difference setting image (face setting w image next, next) (its, reduced)
            where <- number
            compared <- compared + 1L

            for ordinal in 0 .. next.Length - 1 do
                let step, leadsTo = next[ordinal]
                let struct (state, isNew) = visited.Add(step.World.Print, number, ordinal)

                if isNew then
                    enqueue step.World leadsTo state

        let isExhausted = different = "" && queue.Count = 0

        {
            Compared = compared
            Images = images.Count
            IsWhole = isExhausted && isWhole
            IsExhausted = isExhausted
            Difference = different
            Story =
                if different = "" then
                    []
                else
                    snd (Search.tell setting (visited.Path where) (fun _ -> different))
        }

    /// 0 where all agree.
    let run (bounds: SearchBounds) (most: int64) (settings: Setting list) : int =
        printfn "%-14s %12s %12s %12s" "" "unreduced" "images" "reduced"

        let outcomes = [
            for setting in settings do
                let compared = compare setting most bounds
                let reduced = Search.run setting bounds

                let agrees =
                    compared.Difference = ""
                    && (not compared.IsExhausted || int64 compared.Images = reduced.States)

                let verdict =
                    if not agrees then
                        "DIFFERENT"
                    elif compared.IsWhole then
                        "the same in every state"
                    elif compared.IsExhausted then
                        $"the same in {most} states of each image"
                    else
                        "the same as far as was searched"

                printfn
                    "%-14s %12s %12s %12s %s"
                    setting.Name
                    (compared.Compared.ToString "N0")
                    (compared.Images.ToString "N0")
                    (reduced.States.ToString "N0")
                    verdict

                for line in compared.Story do
                    printfn "  %s" line

                agrees
        ]

        if List.forall id outcomes then 0 else 1
