namespace Miroir.Explorer

open Miroir.Core
open Miroir.Core.Cutover

/// To whom a route would be news.
[<RequireQualifiedAccess>]
module Knowledge =

    /// Whether a router's table is of no use: it never writes here, and no operation is at it, or can begin at it.
    let isBystander (setting: Setting) (w: World) (r: int) =
        r > 0
        && setting.Budget.Writers = 0
        && (let mutable isFree = true

            for i in 0 .. w.Ops.Length - 1 do
                let op = w.Ops[i]

                match op.Phase with
                | Phase.Idle -> isFree <- isFree && setting.Operations[i].Kind <> Read
                | Phase.Waiting -> ()
                | _ -> isFree <- isFree && (op.IsEnded || op.Router <> r)

            isFree)

    let private knows (w: World) (r: int) (s: int) (epoch: int64) =
        match w.Routers[r].Known[s] with
        | Some route -> route.Epoch >= epoch
        | None -> false

    /// Whether a router that is told of the route does nothing: it knows it, or a newer one.
    let isNewsTo (setting: Setting) (w: World) (r: int) (route: Route) =
        not (knows w r (setting.ShardIndex route.Shard) route.Epoch)

    /// Whether some router whose table is of use does not know the route, or a newer one.
    let isNews (setting: Setting) (w: World) (s: int) (epoch: int64) =
        let mutable isKnown = true

        for r in 0 .. w.Routers.Length - 1 do
            isKnown <- isKnown && (knows w r s epoch || isBystander setting w r)

        not isKnown
