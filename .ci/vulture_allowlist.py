# Names that are used where vulture does not look. A name that stands here and is really dead is
# noticed by whoever reads its reason.

# Keys of records that are written to JSON files as they are, for the person and for the report.
_.learning_rate
_.tokens_per_second
_.train_perplexity
_.eval_loss
_.eval_perplexity
_.eval_bits_per_byte
_.memory_eval_loss
_.memory_eval_bits_per_byte
_.asked_on_dev
_.known_on_dev
_.prose_difference
_.eval_loss_before
_.eval_loss_after
_.fact_bits_before
_.fact_bits_after
_.match_before
_.match_after
_.vault_match_before
_.vault_match_after
_.asked_match
_.never_asked_match
_.retained_match_before
_.retained_match_after
_.canaries_right
_.canary_chance
_.improvement
_.total_evolutions
_.successful_evolutions
_.failed_evolutions
_.average_improvement
_.consistency
_.real_repetition
_.validity

# In annotations that are strings, because matplotlib is loaded only when a report is drawn.
Axes

# Methods that a library calls.
_.forward  # PyTorch
_._split_lines  # argparse
_.title
_.namespace
_.frame  # signal
_.__getattr__  # import of a name from a module
_.handle_starttag  # HTMLParser
_.handle_endtag
_.handle_data
_.parse_marked_section
attrs
_.buffer_text  # expat
_.StartElementHandler
_.EndElementHandler
_.CharacterDataHandler
_.StartDoctypeDeclHandler
public

