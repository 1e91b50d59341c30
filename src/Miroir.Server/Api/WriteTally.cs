using System.Globalization;
using Miroir.Core;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>What became of the documents of one request, counted; the first few that failed by name.</summary>
internal sealed class WriteTally(int namedFailures)
{
    private readonly List<DocumentFault> named = [];
    private string firstCode = "";

    /// <summary>Documents (or ids) that the request held.</summary>
    public long Received { get; set; }

    /// <summary>Acknowledged.</summary>
    public long Written { get; private set; }

    /// <summary>Of these, documents that were there before.</summary>
    public long WereLive { get; private set; }

    /// <summary>Neither success nor failure is known.</summary>
    public long Unknown { get; private set; }

    /// <summary>Certainly not written.</summary>
    public long Failed { get; private set; }

    /// <summary>The version of the last one written, or, where its condition failed, found.</summary>
    public DocumentVersion Version { get; private set; } = DocumentVersion.Zero;

    /// <summary>Why the body was not read to its end; null where it was.</summary>
    public ApiError? Stopped { get; set; }

    public bool IsSuccess => Unknown == 0 && Failed == 0 && Stopped is null;

    /// <summary>True where nothing has happened, or may still happen, so that an error alone says it all.</summary>
    public bool IsRefusal => !IsSuccess && Written == 0 && Unknown == 0;

    public void Add(Key key, WriteOutcome outcome)
    {
        switch (outcome)
        {
            case WriteOutcome.Written written:
                Written++;
                WereLive += written.WasLive ? 1 : 0;
                Version = written.Version;
                break;
            case WriteOutcome.ConditionFailed failed:
                Version = failed.Found;
                Fail(new(key.Text, "precondition_failed", ConditionMessage(failed.Found)));
                break;
            case WriteOutcome.Rejected rejected:
                Fail(new(key.Text, CodeOf(rejected.Item.Code), rejected.Item.Message));
                break;
            case WriteOutcome.Unknown unknown:
                AddUnknown(key, unknown.Why);
                break;
        }
    }

    public void AddUnknown(Key key, string why)
    {
        Unknown++;
        if (named.Count < namedFailures)
            named.Add(new(key.Text, "outcome_unknown", $"not known to be written, nor not to be: {why}"));
    }

    public void Fail(DocumentFault fault)
    {
        if (firstCode == "")
            firstCode = fault.Code;
        Failed++;
        if (named.Count < namedFailures)
            named.Add(fault);
    }

    /// <summary>The whole as one error. Only where it is no success.</summary>
    public ApiError ToError()
    {
        var code =
            Unknown > 0 ? "outcome_unknown"
            : Stopped is { } stopped ? stopped.Code
            : firstCode;
        if (Received == 1 && named.Count == 1 && Stopped is null)
            return new ApiError(named[0].Message, code);
        var parts = new List<string>();
        if (Stopped is not null)
            parts.Add($"{Stopped.Message}; reading stopped there");
        if (Failed + Unknown > 0 || Written > 0)
            parts.Add(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"of {Received} documents {Written} were written, {Failed} were not, and of {Unknown} it is not known"
                )
            );
        foreach (var fault in named)
            parts.Add($"`{JsonText.Shown(fault.Id, 100)}`: {fault.Message} ({fault.Code})");
        if (Failed + Unknown > named.Count)
            parts.Add($"and {Failed + Unknown - named.Count} more");
        return new ApiError(string.Join("; ", parts), code);
    }

    private static string ConditionMessage(DocumentVersion found) =>
        found.IsZero
            ? "the condition does not hold: the document has never been written"
            : $"the condition does not hold: the document has version {WriteHeaders.ETag(found)}";

    private static string CodeOf(RefusalCode code) =>
        code switch
        {
            RefusalCode.DiskFull => "no_space_left_on_device",
            RefusalCode.Corrupt => "internal",
            _ => "unavailable",
        };
}
