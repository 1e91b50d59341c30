using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Tests.Crash;

/// <summary>
/// A SQLite VFS (https://www.sqlite.org/vfs.html) that is the default one, but tells a <see cref="DiskLog"/> what it does
/// to the files in that log's folder. The default VFS's structures are copied, and only the functions that change a disk
/// are put in front of its own: a file is the default VFS's file, with a <see cref="Trailer"/> behind it.
/// </summary>
internal static unsafe partial class RecordingVfs
{
    public const string Name = "miroir-recording";

    private const int Ok = 0;
    private const int CreatedJournal = 0x800 | 0x4000 | 0x80000;
    private const int OpenCreate = 0x4;

    private static readonly ConcurrentDictionary<int, DiskLog> Logs = new();
    private static readonly ConcurrentDictionary<nint, nint> Tables = new();
    private static readonly Vfs* Default;
    private static int _lastLog;

    static RecordingVfs()
    {
        SqliteLibrary.Register(typeof(RecordingVfs).Assembly);
        Default = sqlite3_vfs_find(null);
        // SQLite keeps both for as long as the process lives.
        var vfs = (Vfs*)NativeMemory.AllocZeroed((nuint)sizeof(Vfs));
        *vfs = *Default;
        vfs->OsFileBytes = TrailerOffset + sizeof(Trailer);
        vfs->Next = null;
        vfs->Name = (byte*)Marshal.StringToCoTaskMemUTF8(Name);
        vfs->Open = &Open;
        vfs->Delete = &Delete;
        if (sqlite3_vfs_register(vfs, 0) != Ok)
            throw new InvalidOperationException($"SQLite does not register the VFS {Name}.");
    }

    private static int TrailerOffset => (Default->OsFileBytes + 7) & ~7;

    public static void Attach(DiskLog log) => Logs[Interlocked.Increment(ref _lastLog)] = log;

    public static void Detach(DiskLog log)
    {
        foreach (var (number, attached) in Logs)
        {
            if (attached == log)
                Logs.TryRemove(number, out _);
        }
    }

    [UnmanagedCallersOnly]
    private static int Open(Vfs* vfs, byte* name, OsFile* file, int flags, int* outFlags)
    {
        var code = Default->Open(Default, name, file, flags, outFlags);
        // A file without a name is a temporary one: nobody looks for it after a crash.
        if (code != Ok || name is null || LogOf(name) is not { } number)
            return code;
        var path = Text(name);
        *TrailerOf(file) = new Trailer
        {
            Methods = file->Methods,
            Log = number,
            File = Logs[number].Open(path),
            // The default VFS syncs the directory with the first sync of a journal or a log that it may have made.
            Directory =
                (flags & CreatedJournal) != 0 && (flags & OpenCreate) != 0
                    ? Marshal.StringToCoTaskMemUTF8(Path.GetDirectoryName(path))
                    : 0,
        };
        file->Methods = (Methods*)Tables.GetOrAdd((nint)file->Methods, static table => (nint)Copy((Methods*)table));
        return Ok;
    }

    [UnmanagedCallersOnly]
    private static int Delete(Vfs* vfs, byte* name, int syncDirectory)
    {
        var code = Default->Delete(Default, name, syncDirectory);
        if (code != Ok || LogOf(name) is not { } number)
            return code;
        var path = Text(name);
        Logs[number].Unlinked(path);
        if (syncDirectory != 0)
            Logs[number].NamesSynced(Path.GetDirectoryName(path)!);
        return Ok;
    }

    [UnmanagedCallersOnly]
    private static int Close(OsFile* file)
    {
        var trailer = *TrailerOf(file);
        Marshal.FreeCoTaskMem(trailer.Directory);
        return trailer.Methods->Close(file);
    }

    [UnmanagedCallersOnly]
    private static int Write(OsFile* file, byte* bytes, int count, long offset)
    {
        var trailer = TrailerOf(file);
        var code = trailer->Methods->Write(file, bytes, count, offset);
        if (code == Ok)
            Record(trailer, new DiskEvent.Write(trailer->File, offset, new Span<byte>(bytes, count).ToArray()));
        return code;
    }

    [UnmanagedCallersOnly]
    private static int Truncate(OsFile* file, long size)
    {
        var trailer = TrailerOf(file);
        var code = trailer->Methods->Truncate(file, size);
        if (code == Ok)
            Record(trailer, new DiskEvent.Truncate(trailer->File, size));
        return code;
    }

    [UnmanagedCallersOnly]
    private static int Sync(OsFile* file, int flags)
    {
        var trailer = TrailerOf(file);
        var code = trailer->Methods->Sync(file, flags);
        if (code != Ok)
            return code;
        Record(trailer, new DiskEvent.Sync(trailer->File));
        if (trailer->Directory != 0)
        {
            if (Logs.TryGetValue(trailer->Log, out var log))
                log.NamesSynced(Marshal.PtrToStringUTF8(trailer->Directory)!);
            Marshal.FreeCoTaskMem(trailer->Directory);
            trailer->Directory = 0;
        }

        return Ok;
    }

    private static void Record(Trailer* trailer, DiskEvent step)
    {
        if (Logs.TryGetValue(trailer->Log, out var log))
            log.Add(step);
    }

    private static int? LogOf(byte* name)
    {
        var path = Text(name);
        foreach (var (number, log) in Logs)
        {
            if (path.StartsWith(log.Folder + Path.DirectorySeparatorChar, StringComparison.Ordinal))
                return number;
        }

        return null;
    }

    private static string Text(byte* name) =>
        Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name));

    private static Trailer* TrailerOf(OsFile* file) => (Trailer*)((byte*)file + TrailerOffset);

    private static Methods* Copy(Methods* table)
    {
        var copy = (Methods*)NativeMemory.AllocZeroed((nuint)sizeof(Methods));
        // Version 3 may have the two functions for reading through a memory map, which this has not.
        var shared = table->Version >= 3 ? sizeof(Methods) : sizeof(Methods) - 2 * sizeof(nint);
        Buffer.MemoryCopy(table, copy, sizeof(Methods), shared);
        copy->Version = Math.Min(2, table->Version);
        copy->Close = &Close;
        copy->Write = &Write;
        copy->Truncate = &Truncate;
        copy->Sync = &Sync;
        return copy;
    }

    [LibraryImport(SqliteLibrary.ImportName)]
    private static partial Vfs* sqlite3_vfs_find(byte* name);

    [LibraryImport(SqliteLibrary.ImportName)]
    private static partial int sqlite3_vfs_register(Vfs* vfs, int makeDefault);

    private struct OsFile
    {
        public Methods* Methods;
    }

    /// <summary>What is known of a file, behind the default VFS's own part of it.</summary>
    private struct Trailer
    {
        public Methods* Methods;
        public nint Directory;
        public int Log;
        public int File;
    }

    // As sqlite3_vfs and sqlite3_io_methods stand in sqlite3.h; what is only passed on has no type.
#pragma warning disable CS0649
    private struct Vfs
    {
        public int Version;
        public int OsFileBytes;
        public int MaxPathBytes;
        public Vfs* Next;
        public byte* Name;
        public nint AppData;
        public delegate* unmanaged<Vfs*, byte*, OsFile*, int, int*, int> Open;
        public delegate* unmanaged<Vfs*, byte*, int, int> Delete;
        public nint Access;
        public nint FullPathname;
        public nint DlOpen;
        public nint DlError;
        public nint DlSym;
        public nint DlClose;
        public nint Randomness;
        public nint Sleep;
        public nint CurrentTime;
        public nint GetLastError;
        public nint CurrentTimeInt64;
        public nint SetSystemCall;
        public nint GetSystemCall;
        public nint NextSystemCall;
    }

    private struct Methods
    {
        public int Version;
        public delegate* unmanaged<OsFile*, int> Close;
        public nint Read;
        public delegate* unmanaged<OsFile*, byte*, int, long, int> Write;
        public delegate* unmanaged<OsFile*, long, int> Truncate;
        public delegate* unmanaged<OsFile*, int, int> Sync;
        public nint FileSize;
        public nint Lock;
        public nint Unlock;
        public nint CheckReservedLock;
        public nint FileControl;
        public nint SectorSize;
        public nint DeviceCharacteristics;
        public nint ShmMap;
        public nint ShmLock;
        public nint ShmBarrier;
        public nint ShmUnmap;
        public nint Fetch;
        public nint Unfetch;
    }
#pragma warning restore CS0649
}
