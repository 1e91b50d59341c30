namespace Miroir.Ports

open System
open System.Threading

/// Randomness from the operating system and the runtime: what real hosts run on.
[<Sealed>]
type SystemEntropy private () =
    /// It has no state: one serves everyone.
    static member val Instance = SystemEntropy()

    interface IEntropy with
        member _.NewGuid() = Guid.NewGuid()
        member _.NextDouble() = Random.Shared.NextDouble()

        member _.NextInt64() =
            Random.Shared.NextInt64(1L, Int64.MaxValue)

/// The same randomness again for the same seed, in every process: SplitMix64 (Steele, Lea and Flood, "Fast
/// splittable pseudorandom number generators", 2014). Safe from several threads; then their order decides who gets what.
[<Sealed>]
type SeededEntropy(seed: int64) =
    let mutable state = seed

    let next () : uint64 =
        let mutable z = uint64 (Interlocked.Add(&state, 0x9E3779B97F4A7C15L))
        z <- (z ^^^ (z >>> 30)) * 0xBF58476D1CE4E5B9UL
        z <- (z ^^^ (z >>> 27)) * 0x94D049BB133111EBUL
        z ^^^ (z >>> 31)

    interface IEntropy with
        member _.NewGuid() =
            let bytes = Array.zeroCreate<byte> 16
            BitConverter.TryWriteBytes(Span(bytes, 0, 8), next ()) |> ignore
            BitConverter.TryWriteBytes(Span(bytes, 8, 8), next ()) |> ignore
            // Version 4, variant 1, as any other random Guid.
            bytes[7] <- (bytes[7] &&& 0x0Fuy) ||| 0x40uy
            bytes[8] <- (bytes[8] &&& 0x3Fuy) ||| 0x80uy
            Guid bytes

        member _.NextDouble() =
            float (next () >>> 11) / float (1UL <<< 53)

        member _.NextInt64() =
            let mutable drawn = int64 (next () >>> 1)

            while drawn = 0L do
                drawn <- int64 (next () >>> 1)

            drawn
