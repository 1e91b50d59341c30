namespace Miroir.Stores.Sqlite;

/// <summary>
/// Holds a data directory for this process alone. The operating system lets go of it when the process
/// ends, however it ends; the lock's file stays.
/// </summary>
internal sealed class DirectoryLock : IDisposable
{
    private readonly FileStream _file;

    private DirectoryLock(FileStream file) => _file = file;

    /// <exception cref="IOException">Another process, or another store of this one, has the directory.</exception>
    public static DirectoryLock Take(string directory)
    {
        var path = Path.Combine(directory, "node.lock");
        try
        {
            return new DirectoryLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (IOException e) when (e is not (DirectoryNotFoundException or PathTooLongException))
        {
            throw new IOException(
                $"The data directory '{directory}' can't be locked: another process is using it. "
                    + "Stop that process, or give this one a directory of its own.",
                e
            );
        }
    }

    public void Dispose() => _file.Dispose();
}
