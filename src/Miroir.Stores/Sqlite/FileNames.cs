using System.Runtime.InteropServices;

namespace Miroir.Stores.Sqlite;

/// <summary>
/// What a store does to the names of files by itself, beside what SQLite does. An interface, so that a test can record
/// it, and cut the power between any two steps.
/// </summary>
internal interface IFileNames
{
    /// <summary>Makes one directory, whose parent is there. Its name is durable after a sync of the parent.</summary>
    void MakeDirectory(string path);

    /// <summary>Deletes a file where it is there. It is gone for good after a sync of its directory.</summary>
    void Delete(string file);

    /// <summary>Renames a file within its directory. It has the new name for good after a sync of the directory.</summary>
    void Move(string from, string to);

    /// <summary>Makes the names in a directory durable: a new file that was synced may still lose its name with the power.</summary>
    /// <exception cref="IOException">The directory can't be opened or synced.</exception>
    void Sync(string directory);
}

internal static class FileNamesExtensions
{
    /// <summary>Creates the directory and those above it that are absent, and makes their names durable.</summary>
    public static void Create(this IFileNames names, string directory)
    {
        if (Directory.Exists(directory))
            return;
        var parent = Path.GetDirectoryName(directory);
        if (!string.IsNullOrEmpty(parent))
            names.Create(parent);
        names.MakeDirectory(directory);
        if (!string.IsNullOrEmpty(parent))
            names.Sync(parent);
    }
}

/// <summary>The names as the operating system has them.</summary>
internal sealed partial class SystemFileNames : IFileNames
{
    public static readonly SystemFileNames Instance = new();

    public void MakeDirectory(string path) => Directory.CreateDirectory(path);

    public void Delete(string file) => File.Delete(file);

    public void Move(string from, string to) => File.Move(from, to, overwrite: true);

    public void Sync(string directory)
    {
        // Windows journals names with its metadata, and can't sync a directory.
        if (OperatingSystem.IsWindows())
            return;
        var descriptor = Open(directory, 0);
        if (descriptor < 0)
            throw Failure("open", directory);
        try
        {
            if (Fsync(descriptor) != 0)
                throw Failure("sync", directory);
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    private static IOException Failure(string what, string directory) =>
        new($"Can't {what} the directory '{directory}': {Marshal.GetLastPInvokeErrorMessage()}");

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
