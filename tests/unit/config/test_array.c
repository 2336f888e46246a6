// SPDX-License-Identifier: BSD-3-Clause
//
// Elements keep their values and new ones are zero, whatever the array's size.
#include "config/array.h"
#include "tests/unit/config/support.h"

struct element {
	unsigned number;
	char filler[9];
};

static void test_growth(void **state)
{
	struct element *elements = NULL;
	unsigned count = 0;

	while (count < 1000) {
		struct element *element = array_append(&elements, count, sizeof(*element));
		static const struct element zero;

		assert_non_null(element);
		assert_ptr_equal(element, &elements[count]);
		assert_memory_equal(element, &zero, sizeof(zero));
		memset(element, 0xee, sizeof(*element));
		element->number = count++;
	}
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(elements[i].number, i);
	free(elements);
}

static void test_refusal(void **state)
{
	char one = 'x', *elements = &one;

	// Too large for any memory: nothing happens to the array.
	assert_null(array_append(&elements, 1u << 31, 1));
	assert_ptr_equal(elements, &one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
