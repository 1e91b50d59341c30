using System.Globalization;
using Miroir.Server.Hosts;

namespace Miroir.Server.Commands;

/// <summary>
/// The options behind a command's name: <c>--name value</c>, <c>--name=value</c>, and flags. What is asked for is
/// known; <see cref="End"/> refuses the rest.
/// </summary>
internal sealed class Arguments
{
    private readonly string command;
    private readonly List<string> rest;
    private readonly List<string> known = [];

    public Arguments(string command, IEnumerable<string> arguments)
    {
        this.command = command;
        rest = [];
        foreach (var argument in arguments)
            if (argument.StartsWith("--", StringComparison.Ordinal) && argument.IndexOf('=') is > 2 and var at)
                rest.AddRange([argument[..at], argument[(at + 1)..]]);
            else
                rest.Add(argument);
    }

    public bool Flag(string name)
    {
        known.Add(name);
        return rest.Remove(name);
    }

    /// <summary>The option's value; null where it is not given.</summary>
    public string? Text(string name, string expected)
    {
        var values = Many(name, expected);
        return values.Count <= 1
            ? values.FirstOrDefault()
            : throw new UsageException($"{name} was given {values.Count} times; once is enough");
    }

    public string Required(string name, string expected) =>
        Text(name, expected)
        ?? throw new UsageException($"{name} is missing: `miroir {command}` needs {name} {expected}");

    /// <summary>The values of an option that may be given several times.</summary>
    public List<string> Many(string name, string expected)
    {
        known.Add($"{name} {expected}");
        var values = new List<string>();
        for (int at; (at = rest.IndexOf(name)) >= 0; )
        {
            if (at + 1 == rest.Count || rest[at + 1].StartsWith("--", StringComparison.Ordinal))
                throw new UsageException($"{name} needs a value: {name} {expected}");
            values.Add(rest[at + 1]);
            rest.RemoveRange(at, 2);
        }
        return values;
    }

    public int Integer(string name, int otherwise, int least, int most)
    {
        if (Text(name, "N") is not { } text)
            return otherwise;
        return
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value)
            && value >= least
            && value <= most
            ? value
            : throw new UsageException($"{name} must be a whole number from {least} to {most}, not `{text}`");
    }

    /// <summary>Where to listen: refused where others could reach it, unless --insecure is given.</summary>
    public BindAddress Listen(BindAddress otherwise, bool insecure)
    {
        var text = Text("--listen", "IP:PORT");
        try
        {
            var bind = text is null ? otherwise : BindAddress.Parse(text);
            bind.Demand(insecure);
            return bind;
        }
        catch (Exception e) when (e is FormatException or InvalidOperationException)
        {
            throw new UsageException($"--listen: {e.Message}");
        }
    }

    /// <summary>A process's name in the cluster.</summary>
    public static string CheckName(string option, string name) =>
        name.Length is > 0 and <= 64 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
            ? name
            : throw new UsageException($"{option}: `{name}` is not a name: 1 to 64 letters, digits, -, _ and .");

    public static string CheckUrl(string option, string url) =>
        Uri.TryCreate(url, UriKind.Absolute, out var uri) && uri.Scheme == "http"
            ? url.TrimEnd('/')
            : throw new UsageException($"{option}: `{url}` is not a base address such as http://127.0.0.1:7710");

    public void End()
    {
        if (rest.Count > 0)
            throw new UsageException(
                $"`{rest[0]}` is not an argument of `miroir {command}`; known: {string.Join(", ", known.Order(StringComparer.Ordinal))}"
            );
    }
}
