"""Word lists for reading commit subjects. All lower case; verbs as lemmas."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Verbs that open commit subjects and that a dictionary also knows as nouns or adjectives, or does not know.
ACTIONS = _words(
    """
    abort abstract access account add address adjust advance advise alias align allow alter annotate
    answer appease append apply archive ask assert assign attach attempt audit automate avoid back
    backport bail balance base beef benchmark bind bisect blacken blacklist block boost bounce box
    branch break bring bubble buffer build bump bundle bust bypass cache calculate call cancel cap
    capture care cascade cast catch chain change check choose chunk circumvent clarify clean cleanse
    cleanup clear clone close coerce collapse collect color combine comment commit compact compare
    compile complain complete compress compute configure conform connect constrain construct contain
    continue control convert cooperate cope copy correct count cover crash create cross cull customize
    cut deal debug decide declare decorate decouple decrease dedent dedup dedupe deduplicate deepen
    default defer define delay delegate delete demote deny depend deprecate derive describe detect
    determine diff disable disallow discard discourage dispatch display distinguish ditch do dockerize
    document double downgrade download drop dump duplicate earn ease edit elaborate elide eliminate
    embed embrace emit employ empty emulate enable encode encourage end endorse enforce enhance enlarge
    ensure enter enumerate error escape establish eval evaluate exchange exclude execute exempt exercise
    exit expand expect explain export expose express extend extract factor fail fake fall favor favour
    feature feed fetch fill filter finalize find finish fix flag flatten flesh flip flush fold follow
    forbid force forget fork format forward free freeze fuse gate gather generalize generate get give go
    grant group guarantee guard guide hack halve handle harden harmonize help hide highlight hint hit
    hoist hold honor honour hook ignore implement import improve include increase increment indent infer
    inform inherit init initialize inject inline insert inspect install instruct instrument integrate
    introduce invalidate invert invoke isolate iterate join judge jump justify keep kill label land
    launch lay leak learn leave let leverage lift limit link lint list load localize lock log look loop
    loosen lower maintain make manage map mark mask match measure mention merge migrate mimic minimize
    mirror mitigate mock modernize modify monkeypatch motivate move mute name narrow need nest nix
    normalize note notify nudge null number omit open opt optimize order organize outline outsource
    overhaul override overwrite own pack package page paper parameterize parametrize parse pass patch
    pave perform permit persist pickle pin pipe place play please plug point polish pop populate port
    postpone precompute prefer prefix prepare prepend preserve prettify prevent print prioritize promise
    promote proofread propagate protect prove provide prune publish pull punt purge push put quarantine
    quench query quiet quieten quote raise rank reach react read readd rearrange rebase rebuild
    recognize recommend reconcile record recover recurse redirect redo reduce reenable refactor refer
    reference refine reflect reflow reformat refresh refuse regenerate register reimplement reinstate
    reintroduce reject relax relicense relocate rely remark remove rename reorder reorganize repair
    repeat rephrase replace report repr reproduce request require reraise reset reshuffle resolve
    respect respond restore restrict restructure resurrect retain retire retrieve retry return reuse
    reveal reverse revert review revise revisit revive reword rework rewrite roll rotate round run
    sanitize satisfy save say scan scope seal search secure seed select send separate serialize serve
    set settle setup shadow shape share shift ship short shorten shove show shrink shuffle shut sidestep
    sign signal silence simplify simulate size skip slice slim slow smooth snapshot soften solve sort
    source span specialize specify speed speedup spell split sprinkle squash squeeze squelch stabilize
    stack standardize start stash state stick stop store stream streamline strengthen stress strip
    structure stub style subclass submit substitute suggest sunset supply support suppress surface
    suspend swallow swap switch sync synchronize tag tailor take talk target teach tear teardown tell
    terminate test thank thread throw tidy tie tighten time toggle tolerate touch trace track transfer
    transform transition translate traverse treat trigger trim trust try tune turn tweak type typecheck
    unblock unbreak uncomment undo unescape unfold unhide unify unignore unindent uninstall unlock
    unmark unmask unpack unpickle unpin unroll unset unskip untangle unwrap unxfail update upgrade
    upload use utilize validate vendor verify visit wait walk warm warn watch weaken weed whitelist
    widen wire work wrap write xfail yield zip
    """
)
# Of those, the ones that more often than not are the first half of a compound noun ...
NOUNISH = _words(
    """
    benchmark build bundle cache call change comment commit copy crash default diff document edit error
    exit export fail feature filter format hack hook import issue label link lint list lock log mark
    match merge mock name note number order package page patch print process query release report repr
    request return review run scope search set source stack state structure stub style support switch
    sync tag target test thread time touch type update upgrade use vendor work
    """
)
# ... if one of these is the second ("Test fixes for ...", "Type annotations of ...").
COMPOUND_HEADS = _words(
    """
    annotation annotations case cases change changes clean-up cleanup cleanups coverage enhancement
    enhancements error errors failure failures fix fixes fixture fixtures formatting hint hints
    improvement improvements matrix notes order ordering policy refactoring requirements runner runs
    sorting stuff suite suites tweak tweaks typo typos update updates
    """
)
# Words before the verb that do not change the request.
OPENERS = _words(
    """
    again also always better do don't dont don’t finally first further instead just longer never no not
    now only please still then
    """
)
NEGATIONS = _words(
    """
    don't dont don’t never not
    """
)
DETERMINERS = _words(
    """
    a all an another any both each every her his it it's its my no one our some that the their them
    these this those three two us your
    """
)
PARTICLES = _words(
    """
    ahead along apart around away back down forward off out over through together up
    """
)
PREPOSITIONS = _words(
    """
    about above across after against among as at before behind below beneath beside between beyond by
    despite during except for from in inside into like near of on onto outside past per since than till
    to toward towards under until unto upon via with within without
    """
)
# Words after the verb that mean that there is no object.
CONJUNCTIONS = _words(
    """
    & + - / = and are be been but had has have is nor or so was were yet
    """
)
CONDITIONS = _words(
    """
    because if once unless when whenever where while
    """
)
# Verbs that are complete with a prepositional phrase ("Cope with ...").
PREPOSITIONAL = _words(
    """
    account adapt add adhere adjust advance advise allow apply ask bail base block build bump bypass
    care cater change check circumvent clean comment compensate compile complain comply conform continue
    convert cooperate cope crash deal decide default defer delegate depend deviate differ dispense
    distinguish download expand experiment export fail fall focus forward get go guard hint hook import
    improve inherit insist install interact iterate jump leak link listen log look loop match migrate
    mirror move note operate opt pass point port prefer prepare proceed provide push raise react read
    rebase recover recurse reduce refer refrain release rely render resort respond return revert round
    run scale search select send serve set ship sort speak split start state stay stick stop strip
    struggle subclass subscribe subtract switch sync take talk tell test think throw transition treat
    try turn update upgrade use vary wait walk warn watch work wrap write yield
    """
)
# Verbs that are complete with a condition ("Raise if ...").
CONDITIONAL = PREPOSITIONAL | _words(
    """
    abort document ensure error exit explain forbid ignore mention print skip
    """
)
# Subjects without information, whatever the change.
_GENERIC = """
    address comments; address feedback; address review; address review comments; apply suggestions from
    code review; argh; bug fix; bug fixes; change; changes; checkpoint; clean up; cleanup; code review;
    commit; done; edit; edits; first commit; fix; fix bug; fix bugs; fix lint; fix test; fix tests; fix
    typo; fix typos; fixed; fixes; format; formatting; initial commit; lint; meh; minor; minor changes;
    minor fix; minor fixes; minor tweaks; minor update; minor updates; misc; misc changes; misc fixes;
    misc updates; miscellaneous; modify; more changes; more fixes; more work; nit; nits; ok; oops;
    patch; polish; progress; quick fix; refactor; refactoring; review; review comments; save; small
    changes; small fix; small fixes; small tweaks; small update; some changes; some fixes; stuff; temp;
    test; test commit; tests; tmp; tweak; tweaks; typo; typos; update; update code; updated; updates;
    ups; various changes; various fixes; various updates; whoops; wip; work; work in progress
"""
GENERIC = frozenset(" ".join(phrase.split()) for phrase in _GENERIC.split(";"))
