/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of onnx.proto as the pre-scan sees them: the same fields and numbers, plus which
 * strings are names and which payloads are lifted. */
#include "plugins/onnx/onnx.h"

#define NUM(n, name)             \
  {                              \
    n, PRE_VARINT, 0, name, NULL \
  }
#define NUMS(n, name)                       \
  {                                         \
    n, PRE_VARINT, PRE_REPEATED, name, NULL \
  }
#define NAME(n, name)          \
  {                            \
    n, PRE_NAME, 0, name, NULL \
  }
#define NAMES(n, name)                    \
  {                                       \
    n, PRE_NAME, PRE_REPEATED, name, NULL \
  }
#define TEXT(n, name)          \
  {                            \
    n, PRE_TEXT, 0, name, NULL \
  }
#define REMARK(n, name)          \
  {                              \
    n, PRE_REMARK, 0, name, NULL \
  }
#define ONE(n, name, message)           \
  {                                     \
    n, PRE_MESSAGE, 0, name, &(message) \
  }
#define MANY(n, name, message)                     \
  {                                                \
    n, PRE_MESSAGE, PRE_REPEATED, name, &(message) \
  }
#define END                      \
  {                              \
    0, PRE_VARINT, 0, NULL, NULL \
  }

static const struct pre_message type_message, graph;

static const struct pre_field pair_fields[] = {TEXT(1, "key"), TEXT(2, "value"), END};
static const struct pre_message pair = {"StringStringEntryProto", pair_fields, 0};

static const struct pre_field opset_fields[] = {NAME(1, "domain"), NUM(2, "version"), END};
static const struct pre_message opset = {"OperatorSetIdProto", opset_fields, 0};

static const struct pre_field segment_fields[] = {NUM(1, "begin"), NUM(2, "end"), END};
static const struct pre_message segment = {"Segment", segment_fields, 0};

static const struct pre_field tensor_fields[] = {
    NUMS(1, "dims"),
    NUM(2, "data_type"),
    ONE(3, "segment", segment),
    {4, PRE_FIXED32, PRE_REPEATED | PRE_LIFT, "float_data", NULL},
    {5, PRE_VARINT, PRE_REPEATED | PRE_LIFT, "int32_data", NULL},
    {6, PRE_BYTES, PRE_REPEATED, "string_data", NULL},
    {7, PRE_VARINT, PRE_REPEATED | PRE_LIFT, "int64_data", NULL},
    NAME(8, "name"),
    {9, PRE_BYTES, PRE_LIFT, "raw_data", NULL},
    {10, PRE_FIXED64, PRE_REPEATED | PRE_LIFT, "double_data", NULL},
    {11, PRE_VARINT, PRE_REPEATED | PRE_LIFT, "uint64_data", NULL},
    MANY(13, "external_data", pair),
    NUM(14, "data_location"),
    END};
static const struct pre_message tensor = {"TensorProto", tensor_fields, 0};

static const struct pre_field sparse_fields[] = {ONE(1, "values", tensor), ONE(2, "indices", tensor),
                                                 NUMS(3, "dims"), END};
static const struct pre_message sparse = {"SparseTensorProto", sparse_fields, 0};

static const struct pre_field dim_fields[] = {NUM(1, "dim_value"), NAME(2, "dim_param"), END};
static const struct pre_message dim = {"Dimension", dim_fields, 0};

static const struct pre_field shape_fields[] = {MANY(1, "dim", dim), END};
static const struct pre_message shape = {"TensorShapeProto", shape_fields, 0};

static const struct pre_field tensor_type_fields[] = {NUM(1, "elem_type"), ONE(2, "shape", shape), END};
static const struct pre_message tensor_type = {"TypeProto.Tensor", tensor_type_fields, 0};

static const struct pre_field nested_fields[] = {ONE(1, "elem_type", type_message), END};
static const struct pre_message nested = {"TypeProto.Sequence", nested_fields, 0};

static const struct pre_field nothing_fields[] = {END};
static const struct pre_message nothing = {"TypeProto.Map", nothing_fields, 0};

static const struct pre_field type_fields[] = {ONE(1, "tensor_type", tensor_type),
                                               ONE(4, "sequence_type", nested),
                                               ONE(5, "map_type", nothing),
                                               ONE(7, "opaque_type", nothing),
                                               ONE(8, "sparse_tensor_type", tensor_type),
                                               ONE(9, "optional_type", nested),
                                               END};
static const struct pre_message type_message = {"TypeProto", type_fields, 0};

static const struct pre_field value_info_fields[] = {NAME(1, "name"), ONE(2, "type", type_message), END};
static const struct pre_message value_info = {"ValueInfoProto", value_info_fields, 0};

static const struct pre_field attribute_fields[] = {NAME(1, "name"),
                                                    {2, PRE_FIXED32, 0, "f", NULL},
                                                    NUM(3, "i"),
                                                    {4, PRE_BYTES, 0, "s", NULL},
                                                    ONE(5, "t", tensor),
                                                    ONE(6, "g", graph),
                                                    {7, PRE_FIXED32, PRE_REPEATED, "floats", NULL},
                                                    NUMS(8, "ints"),
                                                    {9, PRE_BYTES, PRE_REPEATED, "strings", NULL},
                                                    MANY(10, "tensors", tensor),
                                                    MANY(11, "graphs", graph),
                                                    ONE(14, "tp", type_message),
                                                    MANY(15, "type_protos", type_message),
                                                    NUM(20, "type"),
                                                    NAME(21, "ref_attr_name"),
                                                    ONE(22, "sparse_tensor", sparse),
                                                    MANY(23, "sparse_tensors", sparse),
                                                    END};
static const struct pre_message attribute = {"AttributeProto", attribute_fields, 0};

static const struct pre_field node_fields[] = {NAMES(1, "input"),
                                               NAMES(2, "output"),
                                               NAME(3, "name"),
                                               NAME(4, "op_type"),
                                               MANY(5, "attribute", attribute),
                                               NAME(7, "domain"),
                                               NAME(8, "overload"),
                                               END};
static const struct pre_message node = {"NodeProto", node_fields, 0};

static const struct pre_field annotation_fields[] = {NAME(1, "tensor_name"),
                                                     MANY(2, "quant_parameter_tensor_names", pair), END};
static const struct pre_message annotation = {"TensorAnnotation", annotation_fields, 0};

static const struct pre_field graph_fields[] = {MANY(1, "node", node),
                                                NAME(2, "name"),
                                                MANY(5, "initializer", tensor),
                                                MANY(11, "input", value_info),
                                                MANY(12, "output", value_info),
                                                MANY(13, "value_info", value_info),
                                                MANY(14, "quantization_annotation", annotation),
                                                MANY(15, "sparse_initializer", sparse),
                                                END};
static const struct pre_message graph = {"GraphProto", graph_fields, GIE_MAX_BODY_DEPTH + 1};

static const struct pre_field function_fields[] = {NAME(1, "name"),
                                                   NAMES(4, "input"),
                                                   NAMES(5, "output"),
                                                   NAMES(6, "attribute"),
                                                   MANY(7, "node", node),
                                                   MANY(9, "opset_import", opset),
                                                   NAME(10, "domain"),
                                                   MANY(11, "attribute_proto", attribute),
                                                   MANY(12, "value_info", value_info),
                                                   NAME(13, "overload"),
                                                   END};
static const struct pre_message function = {"FunctionProto", function_fields, 0};

static const struct pre_field model_fields[] = {NUM(1, "ir_version"),
                                                TEXT(2, "producer_name"),
                                                TEXT(3, "producer_version"),
                                                TEXT(4, "domain"),
                                                NUM(5, "model_version"),
                                                REMARK(6, "doc_string"),
                                                ONE(7, "graph", graph),
                                                MANY(8, "opset_import", opset),
                                                MANY(14, "metadata_props", pair),
                                                MANY(25, "functions", function),
                                                END};
const struct pre_message onnx_schema_model = {"ModelProto", model_fields, 0};
