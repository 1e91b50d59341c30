namespace Miroir.Core

[<RequireQualifiedAccess>]
type Level =
    | Healthy
    | Warning
    | Critical

type Threshold = {
    Metric: string
    Title: string
    Unit: string
    WarningFrom: float
    CriticalAbove: float
}

[<RequireQualifiedAccess>]
module Thresholds =

    open System.Globalization

    let writeLatency = {
        Metric = "write_latency_ratio"
        Title = "write latency against baseline"
        Unit = "x"
        WarningFrom = 2.0
        CriticalAbove = 5.0
    }

    let inFlightWrites = {
        Metric = "in_flight_writes"
        Title = "in-flight writes"
        Unit = ""
        WarningFrom = 1_000.0
        CriticalAbove = 10_000.0
    }

    let drainTime = {
        Metric = "drain_seconds"
        Title = "drain time"
        Unit = "s"
        WarningFrom = 10.0
        CriticalAbove = 30.0
    }

    let deltaDocuments = {
        Metric = "delta_pass_documents"
        Title = "documents in the delta pass"
        Unit = ""
        WarningFrom = 100.0
        CriticalAbove = 1_000.0
    }

    let divergences = {
        Metric = "anti_entropy_divergences"
        Title = "anti-entropy divergences"
        Unit = ""
        WarningFrom = 1.0
        CriticalAbove = 10.0
    }

    let all = [ writeLatency; inFlightWrites; drainTime; deltaDocuments; divergences ]

    let classify (threshold: Threshold) (value: float) : Level =
        if value < threshold.WarningFrom then Level.Healthy
        elif value > threshold.CriticalAbove then Level.Critical
        else Level.Warning

    let columns (threshold: Threshold) =
        let unit =
            match threshold.Unit with
            | "s" -> " s"
            | unit -> unit

        let text (bound: float) =
            bound.ToString("#,0", CultureInfo.InvariantCulture)

        let healthy =
            if threshold.WarningFrom = 1.0 then
                "0"
            else
                $"< {text threshold.WarningFrom}{unit}"

        struct (healthy,
                $"{text threshold.WarningFrom}-{text threshold.CriticalAbove}{unit}",
                $"> {text threshold.CriticalAbove}{unit}")
