using System.Runtime.InteropServices;

namespace Miroir.Stores.Sqlite;

/// <summary>Makes the names in a directory durable: a new file that was synced may still lose its name with the power.</summary>
internal static partial class DirectorySync
{
    /// <summary>Creates the directory and those above it that are absent, and makes their names durable.</summary>
    public static void Create(string directory)
    {
        if (Directory.Exists(directory))
            return;
        var parent = Path.GetDirectoryName(directory);
        if (!string.IsNullOrEmpty(parent))
            Create(parent);
        Directory.CreateDirectory(directory);
        if (!string.IsNullOrEmpty(parent))
            Sync(parent);
    }

    /// <exception cref="IOException">The directory can't be opened or synced.</exception>
    public static void Sync(string directory)
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
