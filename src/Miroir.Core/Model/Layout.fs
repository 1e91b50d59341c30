namespace Miroir.Core

open System

/// One shard of one layout of an index: what routes, barriers and stores are named by.
[<Struct>]
type ShardId = {
    Index: string
    /// The layout's generation: 1 for a new index, one more for each reshard ever started on it.
    Generation: int
    /// 0 to ShardCount - 1.
    Shard: int
} with

    override this.ToString() =
        $"{this.Index}/{this.Generation}/{this.Shard}"

/// The cut of an index's hash space into equal contiguous ranges. Ranges, not hash modulo count, so that a
/// split or a merge to any count is a contiguous scan.
[<RequireQualifiedAccess>]
module Layout =

    /// The greatest number of shards an index may have.
    [<Literal>]
    let MaxShards = 65536

    let private bound (shardCount: int) (shard: int) : uint64 =
        // ceiling(shard * 2^64 / shardCount); 2^64 itself wraps to 0, as HashRange.Hi wants it.
        let scaled = UInt128.op_LeftShift (UInt128.op_Implicit (uint32 shard), 64)
        let count = UInt128.op_Implicit (uint32 shardCount)
        UInt128.op_Explicit ((scaled + count - UInt128.One) / count): uint64

    /// The range of shard `shard` of `shardCount`.
    let range (shardCount: int) (shard: int) : HashRange = {
        Lo = bound shardCount shard
        Hi =
            if shard + 1 = shardCount then
                0UL
            else
                bound shardCount (shard + 1)
    }

    /// The shard of `shardCount` that holds `hash`: floor(hash * shardCount / 2^64).
    let shardOf (shardCount: int) (hash: uint64) : int =
        int (Math.BigMul(hash, uint64 shardCount, ref 0UL))

    /// The shards of `shardCount` whose ranges share anything with `range`, first and last.
    let overlapping (shardCount: int) (range: HashRange) : struct (int * int) =
        struct (shardOf shardCount range.Lo, shardOf shardCount range.Last)
