using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;

namespace Miroir.Stores.Sqlite.Native;

/// <summary>
/// Finds the SQLite library of this process: the system's where there is one, else the one that
/// is bundled beside the assembly. <c>MIROIR_SQLITE_LIBRARY</c> decides instead when it is set:
/// <c>system</c>, <c>bundled</c>, or the name or path of a library.
/// </summary>
public static class SqliteLibrary
{
    /// <summary>The name that the P/Invoke declarations use; never a file name.</summary>
    internal const string ImportName = "miroir-sqlite3";

    /// <summary>The environment variable that names the library.</summary>
    public const string EnvironmentVariable = "MIROIR_SQLITE_LIBRARY";

    /// <summary>The oldest version that is accepted, as major * 1000000 + minor * 1000 + patch.</summary>
    public const int MinimumVersionNumber = 3_035_000;

    private static readonly Lazy<Loaded> Current = new(
        () => Load(Environment.GetEnvironmentVariable(EnvironmentVariable)),
        LazyThreadSafetyMode.ExecutionAndPublication
    );

    /// <summary>The name or path under which the library was loaded.</summary>
    /// <exception cref="DllNotFoundException">No library could be loaded; says what was tried.</exception>
    public static string Name => Current.Value.Name;

    /// <summary>The version of the loaded library, such as <c>3.40.1</c>.</summary>
    /// <exception cref="DllNotFoundException">No library could be loaded; says what was tried.</exception>
    public static string Version => Current.Value.Version;

    internal static void Register(Assembly assembly) =>
        NativeLibrary.SetDllImportResolver(
            assembly,
            static (name, _, _) => name == ImportName ? Current.Value.Handle : 0
        );

    internal static Loaded Load(string? setting)
    {
        var tried = new StringBuilder();
        foreach (var candidate in Candidates(setting))
        {
            if (TryLoad(candidate, out var loaded, out var why))
                return loaded;
            tried.Append("\n  ").Append(candidate).Append(": ").Append(why);
        }

        var asked = string.IsNullOrEmpty(setting)
            ? $"{EnvironmentVariable} is not set."
            : $"{EnvironmentVariable} is '{setting}'.";
        throw new DllNotFoundException(
            $"No usable SQLite library ({FormatVersion(MinimumVersionNumber)} or later, built for use by "
                + $"several threads) was found. {asked} Tried:{tried}\n"
                + "Install the system's SQLite (Debian: apt-get install libsqlite3-0), or restore the bundled "
                + $"one (package SQLitePCLRaw.lib.e_sqlite3), or set {EnvironmentVariable} to a library's path."
        );
    }

    internal static IEnumerable<string> Candidates(string? setting) =>
        setting?.Trim() switch
        {
            null or "" => SystemNames().Concat(BundledPaths()),
            "system" => SystemNames(),
            "bundled" => BundledPaths(),
            var named => [named],
        };

    private static IEnumerable<string> SystemNames()
    {
        if (OperatingSystem.IsWindows())
            return ["winsqlite3.dll", "sqlite3.dll"];
        if (OperatingSystem.IsMacOS())
            return ["/usr/lib/libsqlite3.dylib", "libsqlite3.dylib", "libsqlite3.0.dylib"];
        return ["libsqlite3.so.0", "libsqlite3.so"];
    }

    /// <summary>Where a build puts the bundled library, and where a publish for one platform does.</summary>
    private static IEnumerable<string> BundledPaths()
    {
        var file =
            OperatingSystem.IsWindows() ? "e_sqlite3.dll"
            : OperatingSystem.IsMacOS() ? "libe_sqlite3.dylib"
            : "libe_sqlite3.so";
        foreach (var folder in Folders())
        {
            foreach (var rid in PortableRids())
                yield return Path.Combine(folder, "runtimes", rid, "native", file);
            yield return Path.Combine(folder, file);
        }
    }

    private static IEnumerable<string> Folders()
    {
        var baseFolder = Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory);
        yield return baseFolder;
        // Empty in a single-file publish, where the base directory is the right one.
#pragma warning disable IL3000
        var own = Path.GetDirectoryName(typeof(SqliteLibrary).Assembly.Location);
#pragma warning restore IL3000
        if (!string.IsNullOrEmpty(own) && own != baseFolder)
            yield return own;
    }

    private static IEnumerable<string> PortableRids()
    {
        var architecture = RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant();
        if (OperatingSystem.IsWindows())
            return [$"win-{architecture}"];
        if (OperatingSystem.IsMacOS())
            return [$"osx-{architecture}"];
        var glibc = $"linux-{architecture}";
        var musl = $"linux-musl-{architecture}";
        var here = RuntimeInformation.RuntimeIdentifier;
        // A library for the wrong C library may load and then fail at a first call: right one first.
        return here.Contains("musl", StringComparison.Ordinal) || here.StartsWith("alpine", StringComparison.Ordinal)
            ? [musl, $"alpine-{architecture}"]
            : [glibc];
    }

    private static bool TryLoad(string candidate, out Loaded loaded, out string why)
    {
        loaded = default;
        if (Path.IsPathRooted(candidate) && !File.Exists(candidate))
        {
            why = "no such file";
            return false;
        }

        nint handle;
        try
        {
            handle = NativeLibrary.Load(candidate);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            why = e.Message.ReplaceLineEndings(" ").Trim();
            return false;
        }

        why = WhyUnusable(handle, out var number);
        if (why.Length == 0)
        {
            LeaveMemoryUncounted(handle);
            loaded = new Loaded(handle, candidate, FormatVersion(number));
            return true;
        }

        NativeLibrary.Free(handle);
        return false;
    }

    private static unsafe string WhyUnusable(nint handle, out int number)
    {
        number = 0;
        if (
            !NativeLibrary.TryGetExport(handle, "sqlite3_libversion_number", out var versionNumber)
            || !NativeLibrary.TryGetExport(handle, "sqlite3_threadsafe", out var threadSafe)
        )
            return "loads, but is not SQLite";
        number = ((delegate* unmanaged[Cdecl]<int>)versionNumber)();
        if (number < MinimumVersionNumber)
            return $"its version {FormatVersion(number)} is older than {FormatVersion(MinimumVersionNumber)}";
        return ((delegate* unmanaged[Cdecl]<int>)threadSafe)() == 0
            ? "was built for a single thread (SQLITE_THREADSAFE=0)"
            : "";
    }

    /// <summary>
    /// Has SQLite keep no statistics of its memory, which nobody here asks for: counting takes one lock of the whole
    /// process at every allocation. Where the library is in use already it goes on counting, and says so in vain.
    /// </summary>
    private static unsafe void LeaveMemoryUncounted(nint handle)
    {
        const int MemoryStatus = 9;
        // The function takes a variable list of arguments, which is called like any other on Linux, and not everywhere.
        if (OperatingSystem.IsLinux() && NativeLibrary.TryGetExport(handle, "sqlite3_config", out var configure))
            _ = ((delegate* unmanaged[Cdecl]<int, int, int>)configure)(MemoryStatus, 0);
    }

    private static string FormatVersion(int number) =>
        FormattableString.Invariant($"{number / 1_000_000}.{number / 1000 % 1000}.{number % 1000}");

    internal readonly record struct Loaded(nint Handle, string Name, string Version);
}
