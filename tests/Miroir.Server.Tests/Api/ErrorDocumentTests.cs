using System.Text.RegularExpressions;
using Miroir.Server.Http;
using NUnit.Framework;

namespace Miroir.Server.Tests.Api;

/// <summary>docs/errors.md explains every code of the document API with its status, and none besides.</summary>
public sealed partial class ErrorDocumentTests
{
    [Test]
    public void CodesAndTheirDocumentAreTheSame()
    {
        var rows = Row().Matches(File.ReadAllText(Path.Combine(Repository.Root, "docs", "errors.md")));
        var written = rows.Select(r => $"{r.Groups[1].Value} {r.Groups[2].Value}");
        var known = ErrorCodes.Statuses.Select(c =>
            $"{c.Key} {(c.Key == "outcome_unknown" ? "202 (task)" : c.Value.ToString())}"
        );
        Assert.That(written, Is.EqualTo(known));
    }

    [GeneratedRegex("""^\| <a id="\w+"></a>`(\w+)` \| ([^|]+?) \| [^|]+ \| [^|]+ \|$""", RegexOptions.Multiline)]
    private static partial Regex Row();
}

internal static class Repository
{
    /// <summary>The folder that has Miroir.sln.</summary>
    public static string Root { get; } = Find();

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Miroir.sln")))
                return folder.FullName;
        throw new DirectoryNotFoundException($"no folder above {AppContext.BaseDirectory} has Miroir.sln");
    }
}
