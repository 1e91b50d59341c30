namespace Miroir.Core

open System
open System.Buffers.Binary
open System.Numerics

[<RequireQualifiedAccess>]
module XxHash64 =

    [<Literal>]
    let private Prime1 = 0x9E3779B185EBCA87UL

    [<Literal>]
    let private Prime2 = 0xC2B2AE3D27D4EB4FUL

    [<Literal>]
    let private Prime3 = 0x165667B19E3779F9UL

    [<Literal>]
    let private Prime4 = 0x85EBCA77C2B2AE63UL

    [<Literal>]
    let private Prime5 = 0x27D4EB2F165667C5UL

    let inline private round (accumulator: uint64) (lane: uint64) =
        BitOperations.RotateLeft(accumulator + lane * Prime2, 31) * Prime1

    let inline private mergeRound (hash: uint64) (accumulator: uint64) =
        (hash ^^^ round 0UL accumulator) * Prime1 + Prime4

    let hash (seed: uint64) (bytes: ReadOnlySpan<byte>) : uint64 =
        let mutable rest = bytes
        let mutable h = 0UL

        if bytes.Length >= 32 then
            let mutable a = seed + Prime1 + Prime2
            let mutable b = seed + Prime2
            let mutable c = seed
            let mutable d = seed - Prime1

            while rest.Length >= 32 do
                a <- round a (BinaryPrimitives.ReadUInt64LittleEndian rest)
                b <- round b (BinaryPrimitives.ReadUInt64LittleEndian(rest.Slice 8))
                c <- round c (BinaryPrimitives.ReadUInt64LittleEndian(rest.Slice 16))
                d <- round d (BinaryPrimitives.ReadUInt64LittleEndian(rest.Slice 24))
                rest <- rest.Slice 32

            h <-
                BitOperations.RotateLeft(a, 1)
                + BitOperations.RotateLeft(b, 7)
                + BitOperations.RotateLeft(c, 12)
                + BitOperations.RotateLeft(d, 18)

            h <- mergeRound (mergeRound (mergeRound (mergeRound h a) b) c) d
        else
            h <- seed + Prime5

        h <- h + uint64 bytes.Length

        while rest.Length >= 8 do
            h <- h ^^^ round 0UL (BinaryPrimitives.ReadUInt64LittleEndian rest)
            h <- BitOperations.RotateLeft(h, 27) * Prime1 + Prime4
            rest <- rest.Slice 8

        if rest.Length >= 4 then
            h <- h ^^^ (uint64 (BinaryPrimitives.ReadUInt32LittleEndian rest) * Prime1)
            h <- BitOperations.RotateLeft(h, 23) * Prime2 + Prime3
            rest <- rest.Slice 4

        for i in 0 .. rest.Length - 1 do
            h <- h ^^^ (uint64 rest[i] * Prime5)
            h <- BitOperations.RotateLeft(h, 11) * Prime1

        h <- (h ^^^ (h >>> 33)) * Prime2
        h <- (h ^^^ (h >>> 29)) * Prime3
        h ^^^ (h >>> 32)
