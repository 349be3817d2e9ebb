// The few kinds of panels that the dashboards consist of, as Grafana 9 and later read them. Panels are laid out from left
// to right in rows of 24 columns; ids follow from the order. The datasource is always the dashboard's variable.
local datasource = { type: 'prometheus', uid: '${datasource}' };

{
  // ---- queries

  // `legend`: a Prometheus template such as '{{state}}'.
  query(expr, legend=''):: { datasource: datasource, expr: expr, legendFormat: legend, range: true },
  // The newest value only.
  instant(expr, legend=''):: { datasource: datasource, expr: expr, legendFormat: legend, instant: true, range: false },
  // For columns of a table, joined over their labels.
  column(expr):: self.instant(expr) { format: 'table' },

  // ---- panels

  local panel(type, title, unit, queries, width, height, description) = {
    type: type,
    title: title,
    description: description,
    datasource: datasource,
    targets: [queries[i] { refId: std.char(std.codepoint('A') + i) } for i in std.range(0, std.length(queries) - 1)],
    fieldConfig: { defaults: { unit: unit }, overrides: [] },
    options: {},
    gridPos: { w: width, h: height },
  },

  // One big number. `steps`: [[from, colour], ...] where the background should tell.
  stat(title, unit, query, width=3, height=4, steps=[], description='')::
    panel('stat', title, unit, [query], width, height, description) {
      fieldConfig+: { defaults+: $.thresholds([[null, 'green']] + steps) },
      options: {
        colorMode: if steps == [] then 'none' else 'background',
        graphMode: 'none',
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
      },
    },

  // Words instead of numbers: what the query's legend says.
  words(title, query, width=6, height=4, description='')::
    panel('stat', title, 'none', [query], width, height, description) {
      options: {
        colorMode: 'none',
        graphMode: 'none',
        textMode: 'name',
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
      },
    },

  lines(title, unit, queries, width=8, height=8, min=0, max=null, stacked=false, description='')::
    panel('timeseries', title, unit, queries, width, height, description) {
      fieldConfig+: {
        defaults+: {
          [if min != null then 'min']: min,
          [if max != null then 'max']: max,
          custom: {
            fillOpacity: if stacked then 30 else 0,
            showPoints: 'never',
            stacking: { mode: if stacked then 'normal' else 'none' },
          },
        },
      },
      options: {
        legend: { displayMode: 'list', placement: 'bottom' },
        tooltip: { mode: 'multi', sort: 'desc' },
      },
    },

  // States over time: a row for each series, 1 where it holds.
  states(title, queries, width=24, height=6, description='')::
    panel('state-timeline', title, 'none', queries, width, height, description) {
      fieldConfig+: {
        defaults+: {
          mappings: [{ type: 'value', options: { '0': { text: ' ', color: 'transparent' }, '1': { text: 'yes', color: 'blue' } } }],
          color: { mode: 'thresholds' },
        },
      },
      options: { showValue: 'never', mergeValues: true, rowHeight: 0.8 },
    },

  // A bar for each series, from 0 to 1.
  bars(title, query, width=8, height=8, steps=[], description='')::
    panel('bargauge', title, 'percentunit', [query], width, height, description) {
      fieldConfig+: { defaults+: { min: 0, max: 1 } + $.thresholds([[null, 'green']] + steps) },
      options: {
        orientation: 'horizontal',
        displayMode: 'basic',
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
      },
    },

  // `columns`: [[title, unit, expr, links], ...] joined by what labels they share; `labels`: {label: title} in their order
  // of appearance. What is in neither is hidden.
  table(title, labels, columns, width=24, height=10, description='')::
    local letter(i) = std.char(std.codepoint('A') + i);
    local indices = std.range(0, std.length(columns) - 1);
    local value(i) = if std.length(columns) == 1 then 'Value' else 'Value #' + letter(i);
    panel('table', title, 'none', [$.column(column.expr) for column in columns], width, height, description) {
      transformations: [
        { id: 'merge', options: {} },
        { id: 'filterFieldsByName', options: { include: { names: [label[0] for label in labels] + [value(i) for i in indices] } } },
        {
          id: 'organize',
          options: {
            indexByName: { [labels[i][0]]: i for i in std.range(0, std.length(labels) - 1) },
            renameByName: { [label[0]]: label[1] for label in labels } + { [value(i)]: columns[i].title for i in indices },
          },
        },
      ],
      fieldConfig+: {
        overrides: [
          {
            matcher: { id: 'byName', options: columns[i].title },
            properties: [{ id: 'unit', value: columns[i].unit }],
          }
          for i in indices
        ] + [
          {
            matcher: { id: 'byName', options: label[1] },
            properties: [{ id: 'links', value: [{ title: label[1], url: label[2] }] }],
          }
          for label in labels
          if std.length(label) > 2
        ],
      },
    },

  thresholds(steps):: {
    thresholds: { mode: 'absolute', steps: [{ value: step[0], color: step[1] } for step in steps] },
    color: { mode: 'thresholds' },
  },

  row(title):: { type: 'row', title: title, collapsed: false, panels: [], gridPos: { w: 24, h: 1 } },

  // ---- variables

  local variable(name, label, kind) = { name: name, label: label, type: kind, hide: 0 },
  local selection(name, label, query, multi) = variable(name, label, 'query') {
    datasource: datasource,
    query: { query: query, refId: name },
    definition: query,
    refresh: 2,  // with the time range
    sort: 1,
    multi: multi,
    includeAll: multi,
    // What has no customer belongs to all of them.
    [if multi then 'allValue']: '.*',
    current: if multi then { text: 'All', value: '$__all' } else {},
  },
  choose(name, label, query):: selection(name, label, query, false),
  filter(name, label, query):: selection(name, label, query, true),
  // One of the query's series: `text` is shown, `value` is put in.
  chooseSeries(name, label, query, text, value):: self.choose(name, label, 'query_result(%s)' % query) {
    regex: '/%s="(?<text>[^"]*)".*%s="(?<value>[^"]*)"/' % [text, value],
  },

  // ---- the dashboard

  dashboard(config, uid, title, description, variables, panels):: {
    uid: uid,
    title: title,
    description: description,
    tags: config.dashboards.tags,
    schemaVersion: 37,
    version: 1,
    editable: true,
    graphTooltip: 1,  // one crosshair for all panels
    refresh: config.dashboards.refresh,
    time: { from: config.dashboards.from, to: 'now' },
    timezone: 'browser',
    annotations: { list: [] },
    links: [{ type: 'dashboards', title: 'Muster', tags: config.dashboards.tags, asDropdown: true, includeVars: true, keepTime: true }],
    templating: {
      list: [variable('datasource', 'Data source', 'datasource') { query: 'prometheus', current: {} }] + variables,
    },
    panels: layOut(panels),
  },

  // Arrays, not objects: elements of an array are evaluated once, fields of an object each time.
  local layOut(panels) = std.foldl(
    function(done, next)
      local right = done[0] + next.gridPos.w;
      local fits = right <= 24;
      local x = if fits then done[0] else 0;
      local y = if fits then done[1] else done[1] + done[2];
      [
        x + next.gridPos.w,
        y,
        if fits then std.max(done[2], next.gridPos.h) else next.gridPos.h,
        done[3] + [next { id: std.length(done[3]) + 1, gridPos+: { x: x, y: y } }],
      ],
    panels,
    [0, 0, 0, []]
  )[3],
}
