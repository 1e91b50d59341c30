using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Miroir.Ports;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>Tasks in Meilisearch's shapes. A task has ended when it is recorded, so the 202 tells how already.</summary>
internal static class TaskAnswers
{
    public const string Succeeded = "succeeded";
    public const string FailedStatus = "failed";

    /// <summary>Records what became of a request, and answers 202.</summary>
    public static async Task AcceptAsync(
        HttpContext http,
        ApiContext api,
        string type,
        string index,
        long enqueuedAtUnixMs,
        Action<Utf8JsonWriter> details,
        ApiError? error
    )
    {
        var task = new TaskRecord(
            0,
            index,
            error is null ? Succeeded : FailedStatus,
            type,
            enqueuedAtUnixMs,
            api.NowUnixMs,
            JsonAnswer.Text(details),
            error is null ? "" : Encoding.UTF8.GetString(error.ToJson()),
            http.Request.Query["customMetadata"].ToString()
        );
        long uid;
        try
        {
            uid = await api.Tasks.Append(task, http.RequestAborted);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw new RefusedException(
                "internal",
                $"the request was carried out (its task: {task.Status}, {task.Details}), but the task could not be recorded: {e.Message}"
            );
        }
        await JsonAnswer.SendAsync(
            http,
            StatusCodes.Status202Accepted,
            json =>
            {
                json.WriteNumber("taskUid", uid);
                WriteIndex(json, task);
                json.WriteString("status", task.Status);
                json.WriteString("type", task.Type);
                json.WriteString("enqueuedAt", Time(task.EnqueuedAtUnixMs));
            }
        );
    }

    /// <summary>A task's fields.</summary>
    public static void Write(Utf8JsonWriter json, TaskRecord task)
    {
        json.WriteNumber("uid", task.Uid);
        json.WriteNull("batchUid");
        WriteIndex(json, task);
        json.WriteString("status", task.Status);
        json.WriteString("type", task.Type);
        json.WriteNull("canceledBy");
        json.WritePropertyName("details");
        json.WriteRawValue(task.Details, skipInputValidation: true);
        json.WritePropertyName("error");
        json.WriteRawValue(task.Error == "" ? "null" : task.Error, skipInputValidation: true);
        var duration = (task.FinishedAtUnixMs - task.EnqueuedAtUnixMs) / 1000.0;
        json.WriteString("duration", string.Create(CultureInfo.InvariantCulture, $"PT{Math.Max(0, duration):0.000}S"));
        json.WriteString("enqueuedAt", Time(task.EnqueuedAtUnixMs));
        json.WriteString("startedAt", Time(task.EnqueuedAtUnixMs));
        json.WriteString("finishedAt", Time(task.FinishedAtUnixMs));
        if (task.CustomMetadata != "")
            json.WriteString("customMetadata", task.CustomMetadata);
    }

    public static string Time(long unixMs) =>
        DateTimeOffset
            .FromUnixTimeMilliseconds(unixMs)
            .ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    private static void WriteIndex(Utf8JsonWriter json, TaskRecord task)
    {
        if (task.IndexUid == "")
            json.WriteNull("indexUid");
        else
            json.WriteString("indexUid", task.IndexUid);
    }
}
