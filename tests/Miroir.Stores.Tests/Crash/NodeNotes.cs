using Miroir.Core;

namespace Miroir.Stores.Tests.Crash;

/// <summary>What a script asked of a node's store, and what it was answered. Shards are named by their numbers.</summary>
internal abstract record NodeNote
{
    public sealed record Opened(Guid NodeId) : NodeNote;

    public sealed record MakeBegun(int Shard, long Epoch) : NodeNote;

    /// <summary>Made, or seen to serve after an opening.</summary>
    public sealed record Made(int Shard, Guid Incarnation) : NodeNote;

    public sealed record DropBegun(int Shard) : NodeNote;

    /// <summary>Dropped, or seen to be gone after an opening.</summary>
    public sealed record Dropped(int Shard) : NodeNote;

    public sealed record PutBegun(int Number, int Shard, Document Document) : NodeNote;

    public sealed record PutDone(int Number, PutReply Reply) : NodeNote
    {
        /// <summary>False: it is certain that the document was not stored.</summary>
        public bool IsStored => Reply is PutReply.Applied || Reply.IsSuperseded;

        public override string ToString() => $"PutDone {{ Number = {Number}, IsStored = {IsStored} }}";
    }

    /// <summary>A change is logged without a put.</summary>
    public sealed record LogBegun(int Number, int Shard, Change Change) : NodeNote;

    public sealed record LogDone(int Number, bool IsLogged) : NodeNote;

    /// <summary>Somebody read it.</summary>
    public sealed record Seen(int Shard, Key Key, DocumentVersion Version) : NodeNote;

    public sealed record RaiseBegun(int Shard, long Epoch, bool HasRoute) : NodeNote;

    /// <param name="Epoch">At least there the barrier stands.</param>
    /// <param name="RouteEpoch">So new at least is the route that it tells; 0: none is promised.</param>
    public sealed record Raised(int Shard, long Epoch, long RouteEpoch) : NodeNote;
}
