namespace Miroir.Stores.Tests.Crash;

/// <summary>One step that a disk was asked for, or a note of who asked. Paths are relative to the recorded folder.</summary>
internal abstract record DiskEvent
{
    /// <summary>A name begins to lead to a file. A file keeps its number under whatever name.</summary>
    public sealed record Link(string Path, int File) : DiskEvent;

    public sealed record MakeDirectory(string Path) : DiskEvent;

    public sealed record Unlink(string Path) : DiskEvent;

    /// <summary>The names in a directory ("": the folder itself) are durable as they are.</summary>
    public sealed record SyncNames(string Directory) : DiskEvent;

    public sealed record Write(int File, long Offset, byte[] Bytes) : DiskEvent
    {
        public override string ToString() => $"Write {{ File = {File}, Offset = {Offset}, Bytes = {Bytes.Length} }}";
    }

    public sealed record Truncate(int File, long SizeBytes) : DiskEvent;

    /// <summary>The contents of a file are durable as they are.</summary>
    public sealed record Sync(int File) : DiskEvent;

    /// <summary>What whoever uses the disk began, or was answered.</summary>
    public sealed record Note(object What) : DiskEvent
    {
        public override string ToString() => $"{What}";
    }
}
