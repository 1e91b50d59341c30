using Miroir.Stores.Sqlite;

namespace Miroir.Stores.Tests.Crash;

/// <summary>
/// Everything that happens to the files of one folder, in one order: what SQLite does through <see cref="RecordingVfs"/>,
/// what a store does to names by itself, and notes. May be called from any thread.
/// </summary>
internal sealed class DiskLog : IFileNames, IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<DiskEvent> _events = [];
    private readonly Dictionary<string, int> _files = [];
    private int _lastFile;

    /// <param name="folder">Holds what the events before have left.</param>
    /// <param name="before">What happened to it; none: the folder is new.</param>
    public DiskLog(string folder, IEnumerable<DiskEvent>? before = null)
    {
        Folder = Path.GetFullPath(folder);
        foreach (var step in before ?? [])
        {
            _events.Add(step);
            if (step is DiskEvent.Link link)
            {
                _files[link.Path] = link.File;
                _lastFile = Math.Max(_lastFile, link.File);
            }
            else if (step is DiskEvent.Unlink unlink)
            {
                _files.Remove(unlink.Path);
            }
        }

        RecordingVfs.Attach(this);
    }

    public string Folder { get; }

    /// <summary>Names are passed on, but never synced: a fault.</summary>
    public bool SkipsNameSyncs { get; init; }

    public DiskEvent[] Events
    {
        get
        {
            lock (_lock)
                return [.. _events];
        }
    }

    public void Add(DiskEvent step)
    {
        lock (_lock)
            _events.Add(step);
    }

    public void Note(object what) => Add(new DiskEvent.Note(what));

    /// <summary>The number of the file of that name, which is recorded as new where nothing has the name.</summary>
    public int Open(string path)
    {
        var name = Relative(path);
        lock (_lock)
        {
            if (!_files.TryGetValue(name, out var file))
            {
                _files[name] = file = ++_lastFile;
                _events.Add(new DiskEvent.Link(name, file));
            }

            return file;
        }
    }

    public void Unlinked(string path)
    {
        var name = Relative(path);
        lock (_lock)
        {
            if (_files.Remove(name))
                _events.Add(new DiskEvent.Unlink(name));
        }
    }

    public void NamesSynced(string directory) => Add(new DiskEvent.SyncNames(Relative(directory)));

    void IFileNames.MakeDirectory(string path)
    {
        SystemFileNames.Instance.MakeDirectory(path);
        Add(new DiskEvent.MakeDirectory(Relative(path)));
    }

    void IFileNames.Delete(string file)
    {
        SystemFileNames.Instance.Delete(file);
        Unlinked(file);
    }

    void IFileNames.Move(string from, string to)
    {
        SystemFileNames.Instance.Move(from, to);
        lock (_lock)
        {
            if (!_files.Remove(Relative(from), out var file))
                return;
            _files[Relative(to)] = file;
            _events.Add(new DiskEvent.Link(Relative(to), file));
            _events.Add(new DiskEvent.Unlink(Relative(from)));
        }
    }

    void IFileNames.Sync(string directory)
    {
        // What is above the folder is not recorded.
        if (SkipsNameSyncs || !directory.StartsWith(Folder, StringComparison.Ordinal))
            return;
        SystemFileNames.Instance.Sync(directory);
        NamesSynced(directory);
    }

    public void Dispose() => RecordingVfs.Detach(this);

    private string Relative(string path)
    {
        var name = Path.GetRelativePath(Folder, path);
        return name == "." ? "" : name;
    }
}
