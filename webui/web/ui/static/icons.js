// Small drawings for buttons: 20 by 20, strokes in the text's colour.
"use strict";
Lifelike.icon = (() => {
  const paths = {
    heart: "M10 16.5 4.2 10.8a3.7 3.7 0 0 1 5.2-5.2l.6.6.6-.6a3.7 3.7 0 0 1 5.2 5.2z",
    download: "M10 3.5v9M6.5 9.2 10 12.7l3.5-3.5M4 16.5h12",
    trash: "M4 6h12M8 6V4h4v2M5.5 6l.7 10.5h7.6L14.5 6M8.4 9v4.5M11.6 9v4.5",
    dice: "M4.5 4.5h11v11h-11zM7.4 7.4h.01M12.6 7.4h.01M10 10h.01M7.4 12.6h.01M12.6 12.6h.01",
    again: "M15.8 8.2A6 6 0 1 0 16 11.5M16 4.2v4.2h-4.2",
    send: "M4 10h11M10.8 5.6 15.2 10l-4.4 4.4",
    copy: "M7.5 7.5h8.5v8.5H7.5zM12.5 7.5V4H4v8.5h3.5",
    expand: "M4 8V4h4M12 4h4v4M16 12v4h-4M8 16H4v-4",
    close: "M5 5l10 10M15 5 5 15",
    sun: "M10 6.7a3.3 3.3 0 1 1 0 6.6 3.3 3.3 0 0 1 0-6.6M10 2.2v1.6M10 16.2v1.6M2.2 10h1.6M16.2 10h1.6M4.5 4.5l1.1 1.1M14.4 14.4l1.1 1.1M15.5 4.5l-1.1 1.1M5.6 14.4l-1.1 1.1",
    moon: "M15.9 12A6.6 6.6 0 0 1 8 4.1 6.6 6.6 0 1 0 15.9 12z",
    help: "M7.6 7.6a2.5 2.5 0 1 1 3.6 2.3c-.8.4-1.2.9-1.2 1.8M10 14.6h.01M10 2.6a7.4 7.4 0 1 1 0 14.8 7.4 7.4 0 0 1 0-14.8",
    swap: "M4 7h11M12 4l3 3-3 3M16 13H5M8 10l-3 3 3 3",
    lock: "M5.5 9h9v7h-9zM7.2 9V6.8a2.8 2.8 0 0 1 5.6 0V9",
    unlock: "M5.5 9h9v7h-9zM7.2 9V6.8a2.8 2.8 0 0 1 5.3-1.2",
    search: "M8.8 3.8a5 5 0 1 1 0 10 5 5 0 0 1 0-10M12.6 12.6 16.4 16.4",
    undo: "M7.4 4.6 4 8l3.4 3.4M4.4 8h7.4a4 4 0 0 1 0 8H8.6",
    stop: "M6 6h8v8H6z",
    plus: "M10 4v12M4 10h12",
    picture: "M3.5 4.5h13v11h-13zM3.8 13.4l3.6-3.6 3 3 2.4-2.4 3.6 3.4M12.6 7.6h.01",
    info: "M10 9.2v4.6M10 6.4h.01M10 2.6a7.4 7.4 0 1 1 0 14.8 7.4 7.4 0 0 1 0-14.8",
    left: "M12.4 4.6 7 10l5.4 5.4",
    right: "M7.6 4.6 13 10l-5.4 5.4",
    star: "M10 3.4l2 4.3 4.7.6-3.5 3.2 1 4.6-4.2-2.3-4.2 2.3 1-4.6-3.5-3.2 4.7-.6z",
    tag: "M3.8 4.2v5.4l6.7 6.7 5.6-5.6-6.7-6.5zM7 7.2h.01",
    folder: "M3.5 5.2v10.3h13V7.2H9.6L8 5.2z",
    compare: "M10 3.5v13M4 5.5h3.5v9H4zM12.5 5.5H16v9h-3.5z",
    upload: "M10 13V4M6.5 7.5 10 4l3.5 3.5M4 16.5h12",
    pipette: "M12.2 5.2l2.6 2.6M11 6.4l2.6 2.6-6.4 6.4-3.2.6.6-3.2zM13 4.4a1.8 1.8 0 0 1 2.6 2.6",
    brush: "M16.2 3.8 9 11M8.2 10.6c-2.6-.4-3.4 1.6-3.6 3-.1.9-.6 1.6-1.4 2 2.6 1.2 6.4.5 6.5-2.6",
    check: "M4.5 10.5 8.3 14.3 15.6 6",
    sliders: "M4 6h6M14 6h2M4 14h2M10 14h6M12 4.2v3.6M8 12.2v3.6",
  };
  return (name) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 20 20");
    svg.setAttribute("class", "ll-svg");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", paths[name] || paths.info);
    svg.append(path);
    return svg;
  };
})();
