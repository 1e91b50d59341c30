namespace Miroir.Core

[<Sealed>]
type ActivationState
    internal (route: Route, sets: Replica[][], required: struct (Replica * RouteStamp)[], confirmed: bool[], outdated) =
    member _.Route = route
    member _.IsOutdated: bool = outdated
    member internal _.Required = required
    member internal _.Confirmed = confirmed

    member _.IsActive =
        let replicas = Sets.distinct sets [||]

        let stands i =
            let mutable all = true

            for r in 0 .. required.Length - 1 do
                let struct (replica, _) = required[r]

                if Sets.same replica replicas[i] && not confirmed[r] then
                    all <- false

            all

        Mutants.writerBarrierLeftOut ()
        || Sets.everySet sets Quorum.barrier replicas stands

    member internal _.With(confirmed', outdated') =
        ActivationState(route, sets, required, confirmed', outdated')

[<RequireQualifiedAccess>]
module Activation =

    let start (route: Route) =
        let sets = route.QuorumSets

        let required = [|
            for replica in Sets.distinct sets [||] -> struct (replica, route.Stamp)
            for fence in (if Mutants.fenceLeftOut () then [||] else route.Fences) do
                for owner in route.OwnerReplicas -> struct (owner, fence)
        |]

        ActivationState(route, sets, required, Array.zeroCreate required.Length, false)

    let outstanding (state: ActivationState) : struct (Replica * BarrierCommand)[] = [|
        for i in 0 .. state.Required.Length - 1 do
            if not state.Confirmed[i] then
                let struct (replica, stamp) = state.Required[i]

                struct (replica,
                        {
                            Stamp = stamp
                            Store = replica.Store
                            Route = (if stamp = state.Route.Stamp then Some state.Route else None)
                        })
    |]

    let replied (state: ActivationState) (replica: Replica) (command: BarrierCommand) (reply: BarrierReply) =
        let at =
            state.Required
            |> Array.tryFindIndex (fun (struct (r, stamp)) -> Sets.same r replica && stamp = command.Stamp)

        match at with
        | None -> state
        | Some i ->
            let confirm () =
                let confirmed = Array.copy state.Confirmed
                confirmed[i] <- true
                state.With(confirmed, state.IsOutdated)

            match reply with
            | Confirmed _ -> confirm ()
            | BarrierAbove epoch when command.Stamp = state.Route.Stamp && epoch > command.Stamp.Epoch ->
                state.With(state.Confirmed, true)
            // A fence that stands higher fences as well; whether the store serves, the route's own barrier tells.
            | BarrierAbove epoch when command.Stamp <> state.Route.Stamp && epoch >= command.Stamp.Epoch -> confirm ()
            | BarrierAbove _
            | ConfirmedNotServing
            | BarrierRefused _ -> state
