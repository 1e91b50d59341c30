namespace Miroir.Core

open System

/// XXH64, Yann Collet's 64-bit non-cryptographic hash (the xxHash specification, version 0.1.1).
/// Fixed for ever: keys are placed by it, so every node, router and file depends on its values.
[<RequireQualifiedAccess>]
module XxHash64 =

    /// The hash of all of `bytes` under `seed`.
    val hash: seed: uint64 -> bytes: ReadOnlySpan<byte> -> uint64
