namespace Miroir.Explorer

/// One part of a world exchanged for another; the world itself never changes.
[<RequireQualifiedAccess>]
module Edit =

    let withOp (w: World) (i: int) (op: Op) : World = {
        w with
            Ops = Array.updateAt i op w.Ops
    }

    let withNode (w: World) (i: int) (node: NodeState) : World =
        if obj.ReferenceEquals(w.Nodes[i], node) then
            w
        else
            {
                w with
                    Nodes = Array.updateAt i node w.Nodes
            }

    let withRouter (w: World) (i: int) (router: RouterState) : World = {
        w with
            Routers = Array.updateAt i router w.Routers
    }

    let withWriter (w: World) (r: int) (s: int) (writer: WriterState option) : World =
        let router = w.Routers[r]
        withRouter w r (RouterState(router.Known, Array.updateAt s writer router.Writers))

    let addFlights (w: World) (more: Flight seq) : World = {
        w with
            Flights = Array.append w.Flights (Seq.toArray more)
    }

    let withFlightRemoved (w: World) (i: int) : World = {
        w with
            Flights = Array.removeAt i w.Flights
    }
