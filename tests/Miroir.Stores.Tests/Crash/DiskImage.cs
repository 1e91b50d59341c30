namespace Miroir.Stores.Tests.Crash;

/// <summary>Which of the steps that no sync has made durable outlive a cut of the power.</summary>
/// <param name="Keep">The chance of each to stay.</param>
/// <param name="Tear">The chance of a write that stays to keep only about half of its sectors.</param>
/// <param name="Seed">Decides.</param>
internal sealed record Loss(double Keep, double Tear, int Seed)
{
    /// <summary>The disk had everything by then.</summary>
    public static readonly Loss Nothing = new(1, 0, 0);

    /// <summary>The disk had only what it had to.</summary>
    public static readonly Loss Everything = new(0, 0, 0);
}

/// <summary>What a folder holds after the power was cut behind some step.</summary>
internal sealed class DiskImage
{
    private const int SectorBytes = 512;

    private readonly Dictionary<string, int> _files = [];
    private readonly HashSet<string> _directories = [""];
    private readonly Dictionary<int, Content> _contents = [];

    /// <summary>Any subset of a file's writes behind its last sync may be lost, and of a directory's names behind its own.</summary>
    public DiskImage(ReadOnlySpan<DiskEvent> events, Loss loss)
    {
        var syncedFiles = new Dictionary<int, int>();
        var syncedNames = new Dictionary<string, int>();
        for (var i = 0; i < events.Length; i++)
        {
            if (events[i] is DiskEvent.Sync sync)
                syncedFiles[sync.File] = i;
            else if (events[i] is DiskEvent.SyncNames names)
                syncedNames[names.Directory] = i;
        }

        var random = new Random(loss.Seed);
        for (var i = 0; i < events.Length; i++)
        {
            var lastSync = events[i] switch
            {
                DiskEvent.Write write => syncedFiles.GetValueOrDefault(write.File, -1),
                DiskEvent.Truncate truncate => syncedFiles.GetValueOrDefault(truncate.File, -1),
                DiskEvent.Link link => syncedNames.GetValueOrDefault(DirectoryOf(link.Path), -1),
                DiskEvent.Unlink unlink => syncedNames.GetValueOrDefault(DirectoryOf(unlink.Path), -1),
                DiskEvent.MakeDirectory made => syncedNames.GetValueOrDefault(DirectoryOf(made.Path), -1),
                _ => -1,
            };
            if (lastSync > i)
                Apply(events[i], null);
            else if (random.NextDouble() < loss.Keep)
                Apply(events[i], random.NextDouble() < loss.Tear ? random : null);
        }
    }

    /// <summary>The files by their paths, those left out that a lost directory has taken along.</summary>
    public IEnumerable<(string Path, ReadOnlyMemory<byte> Bytes)> Files =>
        from file in _files
        where IsThere(DirectoryOf(file.Key))
        orderby file.Key
        select (file.Key, _contents.TryGetValue(file.Value, out var content) ? content.Bytes : default);

    public IEnumerable<string> Directories =>
        _directories.Where(path => path.Length > 0 && IsThere(path)).OrderBy(path => path.Length);

    /// <summary>Writes it into an empty folder.</summary>
    public void WriteTo(string folder)
    {
        foreach (var directory in Directories)
            Directory.CreateDirectory(Path.Combine(folder, directory));
        foreach (var (path, bytes) in Files)
        {
            using var file = File.Create(Path.Combine(folder, path));
            file.Write(bytes.Span);
        }
    }

    /// <summary>The image as what happened to a disk, all of it durable.</summary>
    public IEnumerable<DiskEvent> AsEvents()
    {
        foreach (var directory in Directories)
            yield return new DiskEvent.MakeDirectory(directory);
        var file = 0;
        foreach (var (path, bytes) in Files)
        {
            yield return new DiskEvent.Link(path, ++file);
            yield return new DiskEvent.Write(file, 0, bytes.ToArray());
            yield return new DiskEvent.Sync(file);
        }

        foreach (var directory in Directories.Prepend(""))
            yield return new DiskEvent.SyncNames(directory);
    }

    private void Apply(DiskEvent step, Random? tear)
    {
        switch (step)
        {
            case DiskEvent.Link link:
                _files[link.Path] = link.File;
                break;
            case DiskEvent.Unlink unlink:
                _files.Remove(unlink.Path);
                break;
            case DiskEvent.MakeDirectory made:
                _directories.Add(made.Path);
                break;
            case DiskEvent.Truncate truncate:
                ContentOf(truncate.File).Resize(truncate.SizeBytes);
                break;
            case DiskEvent.Write write when tear is null:
                ContentOf(write.File).Write(write.Offset, write.Bytes);
                break;
            case DiskEvent.Write write:
                for (var at = 0; at < write.Bytes.Length; )
                {
                    var end = Math.Min(write.Bytes.Length, at + SectorBytes - (int)((write.Offset + at) % SectorBytes));
                    if (tear.Next(2) == 0)
                        ContentOf(write.File).Write(write.Offset + at, write.Bytes.AsSpan(at..end));
                    at = end;
                }

                break;
        }
    }

    private Content ContentOf(int file)
    {
        if (!_contents.TryGetValue(file, out var content))
            _contents.Add(file, content = new Content());
        return content;
    }

    private bool IsThere(string directory) =>
        directory.Length == 0 || (_directories.Contains(directory) && IsThere(DirectoryOf(directory)));

    private static string DirectoryOf(string path) => Path.GetDirectoryName(path) ?? "";

    private sealed class Content
    {
        private byte[] _bytes = [];
        private int _size;

        public ReadOnlyMemory<byte> Bytes => _bytes.AsMemory(0, _size);

        public void Write(long offset, ReadOnlySpan<byte> bytes)
        {
            var end = checked((int)offset + bytes.Length);
            if (end > _size)
                Resize(end);
            bytes.CopyTo(_bytes.AsSpan((int)offset));
        }

        /// <summary>What comes to be is zeros, also where something was before.</summary>
        public void Resize(long size)
        {
            var now = checked((int)size);
            if (now > _bytes.Length)
                Array.Resize(ref _bytes, Math.Max(now, 2 * _bytes.Length));
            if (now < _size)
                _bytes.AsSpan(now.._size).Clear();
            _size = now;
        }
    }
}
