namespace Miroir.Core.Cutover

open System
open Miroir.Core

/// Proof that W nodes of a target hold, durably, at least what the merge of the old owners held behind the Joint barrier.
type Certificate = {
    Target: ShardId
    JointEpoch: int64
    /// Nodes and the incarnations of their stores.
    Holders: (Replica * Guid)[]
    /// The owners merged.
    Sources: (Replica * Guid)[]
    Entries: int64
    Copied: int64
    Digest: Digest
    Watermark: DocumentVersion
}
