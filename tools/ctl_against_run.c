/* The command behind `check --against`: its files, its answer, its exit status: 0 both sides agree,
 * 2 they differ, 1 something could not be read. */
#include "ctl.h"
#include "ctl_against.h"

static int answer(const struct against *against, size_t files, bool as_json)
{
	if (as_json) {
		struct json_out out = { .out = stdout };
		json_t *list = against_json(against);

		json_out_part(list, false, &out);
		json_decref(list);
	} else {
		against_print(against, stdout);
		if (!against->n)
			printf("both sides agree: %u object%s in %zu document%s\n",
				against->cloud->n, against->cloud->n == 1 ? "" : "s", files,
				files == 1 ? "" : "s");
		else
			printf("%u difference%s\n", against->n + against->n_more,
				against->n + against->n_more == 1 ? "" : "s");
	}
	return against->n ? CTL_DIFFERS : CTL_OK;
}

static int compare(struct against *against, const json_t *files, bool as_json)
{
	struct cloud *cloud = against->cloud;
	const json_t *file;
	size_t i;

	if (json_array_size(files) > CLOUD_FILES_MAX) {
		fprintf(stderr, "lintasctl: at most %u documents at a time\n", CLOUD_FILES_MAX);
		return CTL_ERROR;
	}
	json_array_foreach(files, i, file)
		cloud_read(cloud, json_string_value(file));
	if (cloud->n_errors) {
		cloud_errors_print(cloud, stderr);
		return CTL_ERROR;
	}
	cloud_join(cloud);
	against_run(against);
	return answer(against, json_array_size(files), as_json);
}

/* Where the pool jumps to when memory is out. */
static int guarded(struct against *against, const json_t *files, bool as_json)
{
	jmp_buf oom;

	against->cloud->pool->oom = &oom;
	if (setjmp(oom)) {
		fprintf(stderr, "lintasctl: out of memory\n");
		return CTL_ERROR;
	}
	return compare(against, files, as_json);
}

int run_against(const json_t *args, const char *path, bool as_json)
{
	struct against against = { .cloud = cloud_new() };
	struct config *config;
	int status = CTL_ERROR;

	if (!against.cloud) {
		fprintf(stderr, "lintasctl: out of memory\n");
		return CTL_ERROR;
	}
	against.config = config = config_for(path);
	if (config)
		status = guarded(&against, json_object_get(args, "against"), as_json);
	config_free(config);
	cloud_free(against.cloud);
	return status;
}
