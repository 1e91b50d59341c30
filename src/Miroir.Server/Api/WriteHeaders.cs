using Microsoft.AspNetCore.Http;
using Miroir.Core;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>What a write request says of itself in its headers: its condition (RFC 9110, section 13) and its operation id.</summary>
internal readonly record struct WriteHeaders(Condition Condition, Guid? OperationId)
{
    /// <summary>True where it can only be meant for one document.</summary>
    public bool ForOneDocument => !Condition.IsAlways || OperationId is not null;

    public static WriteHeaders Of(HttpRequest request) => new(ConditionOf(request), OperationIdOf(request));

    /// <summary>A version as an entity tag.</summary>
    public static string ETag(DocumentVersion version) => $"\"{version}\"";

    private static Condition ConditionOf(HttpRequest request)
    {
        var match = request.Headers.IfMatch.ToString().Trim();
        var noneMatch = request.Headers.IfNoneMatch.ToString().Trim();
        if (match != "" && noneMatch != "")
            throw Wrong("If-Match and If-None-Match can't both be given");
        if (noneMatch != "")
            return noneMatch == "*"
                ? Condition.IfAbsent
                : throw Wrong(
                    $"If-None-Match of a write must be `*` (only where there is no document), not `{noneMatch}`"
                );
        if (match == "")
            return Condition.Always;
        if (match == "*")
            return Condition.IfPresent;
        var text = match.Length >= 2 && match[0] == '"' && match[^1] == '"' ? match[1..^1] : match;
        var version = DocumentVersion.TryParse(text);
        return version.IsSome
            ? Condition.NewIfVersion(version.Value)
            : throw Wrong($"If-Match must be `*` or one version as its ETag gave it, such as \"3.117\", not `{match}`");
    }

    private static Guid? OperationIdOf(HttpRequest request)
    {
        var text = request.Headers["x-miroir-operation-id"].ToString();
        if (text == "")
            return null;
        return Guid.TryParse(text, out var id) && id != Guid.Empty
            ? id
            : throw new RefusedException(
                "invalid_operation_id",
                $"x-miroir-operation-id must be a GUID other than the empty one, not `{text}`"
            );
    }

    private static RefusedException Wrong(string message) => new("invalid_condition", message);
}
